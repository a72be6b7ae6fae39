-- This service's own copy of names and addresses, kept in step by the events of microservice1.
-- A row without an e-mail: something happened to a user of whom nothing has been told yet.
CREATE TABLE contacts (
    user_id    bigint PRIMARY KEY,
    username   text,
    email      text,
    full_name  text,
    version    bigint NOT NULL DEFAULT 0,           -- of the user, as far as it has been told
    deleted    boolean NOT NULL DEFAULT false,      -- a tombstone: nothing revives it
    updated_at timestamptz NOT NULL DEFAULT now()
);
