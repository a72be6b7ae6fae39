CREATE INDEX CONCURRENTLY IF NOT EXISTS notifications_to_retry
    ON notifications (retry_at, id) WHERE status = 'queued' AND retry_at IS NOT NULL;
