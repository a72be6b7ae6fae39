-- Requests that were done under an `Idempotency-Key`: with what they were answered, or what they
-- made. A row is written in the transaction of the work itself. Of the key and of the request's body
-- only hashes are here.
CREATE TABLE idempotency_keys (
    scope       bytea PRIMARY KEY,                  -- SHA-256 of caller, method, route and key
    fingerprint bytea NOT NULL,                     -- HMAC of the body
    status      smallint,                           -- the answer, in three columns
    headers     json,
    body        bytea,
    resource_id bigint,                             -- or what was made, where that tells the answer
    created_at  timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(status, headers, body) = CASE WHEN resource_id IS NULL THEN 3 ELSE 0 END)
);

CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);
