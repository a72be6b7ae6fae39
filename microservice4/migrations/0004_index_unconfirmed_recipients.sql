CREATE INDEX CONCURRENTLY IF NOT EXISTS notifications_unconfirmed
    ON notifications (lower(recipient), created_at)
    WHERE unconfirmed AND status <> 'suppressed';
