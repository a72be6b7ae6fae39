-- Who reads this table can sign in as nobody: it holds hashes only.
CREATE TABLE refresh_tokens (
    token_hash bytea PRIMARY KEY,                   -- SHA-256
    user_id    bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);
CREATE INDEX refresh_tokens_expires_at ON refresh_tokens (expires_at);
