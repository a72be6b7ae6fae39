-- How names are sorted: by the root collation of Unicode, which ICU brings. The default of the database sorts bytes.
-- A collation of our own, not "und-x-icu" of PostgreSQL: pg_upgrade keeps the version that its indexes were built
-- with, and the tables' owner may refresh it.
CREATE COLLATION names (provider = icu, locale = 'und');
