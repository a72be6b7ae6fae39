-- An epoch ends with a new password, a new role, or the account: tokens and sessions of earlier ones are void.
ALTER TABLE users ADD COLUMN token_epoch integer NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN epoch integer NOT NULL DEFAULT 0;        -- of the user when it was opened

-- A user can have more sessions than one statement can delete. Those of a deleted user are void too,
-- and go when they expire.
-- squawk-ignore ban-drop-constraint
ALTER TABLE sessions DROP CONSTRAINT sessions_user_id_fkey;
-- The lock is held already, and sessions_newest serves the same statements.
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX sessions_user;

-- What the services are told: access tokens of an earlier epoch are void. No reference to users: a
-- deleted user is listed too. A row is of no use once the tokens have expired.
CREATE TABLE revocations (
    user_id    bigint PRIMARY KEY,
    epoch      integer NOT NULL,
    revoked_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX revocations_revoked_at ON revocations (revoked_at);

-- Wrong passwords in a row, of an account, of an address, or of an account from an address it knows.
-- The slot follows from the key, so there are never more rows than slots (microservice1/logic/guessing.py).
CREATE TABLE guesses (
    slot     integer PRIMARY KEY,
    key      bytea NOT NULL,                        -- HMAC of what is counted
    failures integer NOT NULL,
    tried_at timestamptz NOT NULL                   -- the last failure, or the last try that was let through
) WITH (fillfactor = 50);

-- From where a user has signed in; 20 addresses each, for 30 days.
CREATE TABLE known_addresses (
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    address bytea NOT NULL,                         -- HMAC
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, address)
);

CREATE INDEX known_addresses_seen_at ON known_addresses (seen_at);

-- Failed sign-ins of administrators in hours that have not ended; then they go to the audit log.
CREATE TABLE failed_sign_ins (
    hour       timestamptz NOT NULL,
    user_id    bigint NOT NULL,
    address    text NOT NULL,
    failures   integer NOT NULL DEFAULT 1,
    request_id text NOT NULL,                       -- of the last one
    PRIMARY KEY (hour, user_id, address)
);
