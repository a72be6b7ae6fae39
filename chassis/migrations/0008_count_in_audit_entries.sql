-- How often it happened: 1 for a write; failed sign-ins of one hour are one entry.
ALTER TABLE audit_entries ADD COLUMN count integer NOT NULL DEFAULT 1;
