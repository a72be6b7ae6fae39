CREATE INDEX CONCURRENTLY IF NOT EXISTS notifications_status ON notifications (status, created_at);
