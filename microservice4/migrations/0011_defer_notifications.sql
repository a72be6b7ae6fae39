-- An e-mail that the mail server has put off. A queued one with an address is either with the worker, in
-- the outbox, or waits until `retry_at`.
ALTER TABLE notifications
    ADD COLUMN retry_at       timestamptz,          -- null: it is not put off
    ADD COLUMN deferred_since timestamptz;          -- the first time of this run of tries
