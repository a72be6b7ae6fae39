-- For the lease. The index outbox_due is of no use to this release; the previous one needs it.
CREATE INDEX CONCURRENTLY IF NOT EXISTS outbox_heads ON outbox (lane, due_at, id) WHERE is_head;
