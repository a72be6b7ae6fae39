-- How often a user has done something in the minute that began with the first time. Of no worth after a crash,
-- so not logged.
CREATE UNLOGGED TABLE request_counts (
    action   text NOT NULL,
    user_id  bigint NOT NULL,
    began_at timestamptz NOT NULL DEFAULT now(),
    used     integer NOT NULL DEFAULT 1,
    PRIMARY KEY (action, user_id)
) WITH (fillfactor = 50);

CREATE INDEX request_counts_began_at ON request_counts (began_at);
