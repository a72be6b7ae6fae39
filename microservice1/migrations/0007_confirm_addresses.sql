-- Addresses that exist now, or that an older release still enters, count as confirmed.
ALTER TABLE users
    ADD COLUMN email_confirmed boolean NOT NULL DEFAULT true,
    ADD COLUMN pending_email   text;                    -- replaces email once it is confirmed; reserves nothing

-- Single-use codes that were sent by e-mail. Reading this table gives nobody a code: it holds SHA-256 hashes.
CREATE TABLE email_codes (
    code_hash  bytea PRIMARY KEY,
    user_id    bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    purpose    text NOT NULL CHECK (purpose IN ('confirmation', 'password_reset')),
    email      text NOT NULL,                           -- the code proves this address and no other
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);

CREATE INDEX email_codes_user ON email_codes (user_id);
CREATE INDEX email_codes_expires_at ON email_codes (expires_at);
