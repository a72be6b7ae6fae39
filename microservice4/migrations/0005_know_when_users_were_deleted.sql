-- When a user was deleted, and when the last word of them was removed from their notifications.
ALTER TABLE contacts
    ADD COLUMN deleted_at timestamptz,              -- null for those of before: updated_at tells
    ADD COLUMN erased_at  timestamptz;
