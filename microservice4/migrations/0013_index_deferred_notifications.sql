CREATE INDEX CONCURRENTLY IF NOT EXISTS notifications_deferred
    ON notifications (deferred_since) WHERE status = 'queued' AND deferred_since IS NOT NULL;
