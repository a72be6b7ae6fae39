-- For the age of the oldest message of each lane, which is a head.
CREATE INDEX CONCURRENTLY IF NOT EXISTS outbox_oldest ON outbox (lane, id) WHERE is_head;
