CREATE TABLE notifications (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id       bigint NOT NULL,
    order_id      bigint,
    order_version bigint,
    event_id      text NOT NULL CONSTRAINT notifications_event_id_key UNIQUE,
    event_type    text NOT NULL,
    facts         json NOT NULL,                    -- the event's data, to render the e-mail from
    request_id    text NOT NULL,                    -- of the request by which it happened
    recipient     text,                             -- null until the contact is known
    subject       text,
    body          text,
    status        text NOT NULL DEFAULT 'queued'
                  CHECK (status IN ('queued', 'sent', 'failed', 'suppressed')),
    attempts      integer NOT NULL DEFAULT 0,
    last_error    text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    sent_at       timestamptz
);

CREATE INDEX notifications_newest ON notifications (created_at DESC, id DESC);
CREATE INDEX notifications_user ON notifications (user_id, created_at DESC, id DESC);
CREATE INDEX notifications_order ON notifications (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX notifications_queued ON notifications (user_id, id) WHERE status = 'queued';
CREATE INDEX notifications_failed ON notifications (created_at DESC, id DESC) WHERE status = 'failed';

-- The highest version of each order that has been told, so that what is older comes too late.
CREATE TABLE order_versions (
    order_id bigint PRIMARY KEY,
    version  bigint NOT NULL
);
