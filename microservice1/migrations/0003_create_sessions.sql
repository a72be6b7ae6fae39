-- Who reads this table can sign in as nobody: it holds hashes only, all of them SHA-256.
-- Tokens that were replaced before the previous ones are not kept: they are known by their key.
CREATE TABLE sessions (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key_hash        bytea NOT NULL UNIQUE,          -- of what all its refresh tokens begin with
    user_id         bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    current_hashes  bytea[] NOT NULL,               -- of the refresh tokens issued last
    previous_hashes bytea[] NOT NULL DEFAULT '{}',  -- of those that they replaced
    rotated_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);
