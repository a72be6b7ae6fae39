-- For what comes before and after a message in its subject. `id + 0` keeps the primary key out of such
-- plans. The index outbox_order is of no use to this release; the previous one needs it.
CREATE INDEX CONCURRENTLY IF NOT EXISTS outbox_subjects ON outbox (lane, subject, (id + 0)) WHERE state = 'waiting';
