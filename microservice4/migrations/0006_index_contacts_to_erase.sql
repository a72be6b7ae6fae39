CREATE INDEX CONCURRENTLY IF NOT EXISTS contacts_to_erase
    ON contacts (coalesce(deleted_at, updated_at)) WHERE deleted AND erased_at IS NULL;
