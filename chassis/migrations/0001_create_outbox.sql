-- What this service still has to tell or to do. A row is written in the transaction of the change
-- that causes it and deleted when it is done, so that neither is ever without the other.
CREATE TABLE outbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane        text NOT NULL,                      -- a neighbour, or a task of the service's own
    subject     text NOT NULL,                      -- rows of one lane and subject go in the order of id
    message     json NOT NULL,                      -- json, not jsonb: sent byte for byte
    request_id  text NOT NULL,
    traceparent text,
    state       text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'dead')),
    attempts    integer NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL DEFAULT now(), -- not before; a lease moves it to the lease's end
    lease       uuid,                               -- the fencing token of whoever has it now
    last_error  text,
    alarm_at    timestamptz DEFAULT now() + interval '5 minutes', -- still here then: tell, and set NULL
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX outbox_due ON outbox (lane, due_at, id) WHERE state = 'waiting';
CREATE INDEX outbox_order ON outbox (lane, subject, id) WHERE state = 'waiting';
CREATE INDEX outbox_dead ON outbox (id) WHERE state = 'dead';

-- Wakes the lanes that have something due; what is held until later wakes nobody.
CREATE FUNCTION notify_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('outbox', lane)
       FROM (SELECT DISTINCT lane FROM added WHERE due_at <= now()) AS due;
    RETURN NULL;
END
$$;

CREATE TRIGGER outbox_added AFTER INSERT ON outbox
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION notify_outbox();
