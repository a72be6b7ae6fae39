CREATE INDEX CONCURRENTLY IF NOT EXISTS notifications_without_contact
    ON notifications (created_at) WHERE status = 'queued' AND recipient IS NULL;
