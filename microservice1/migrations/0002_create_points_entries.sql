-- The ledger: a user's points and balance are the sums of their entries.
CREATE TABLE points_entries (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    kind       text NOT NULL CHECK (
                   kind IN ('opening', 'adjustment', 'earned', 'reversed', 'redeemed', 'refunded')
               ),
    order_id   bigint,
    points     bigint NOT NULL,                     -- effect on users.points
    balance    bigint NOT NULL,                     -- effect on users.points_balance
    reason     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT points_entries_order_key UNIQUE (order_id, kind)
);

CREATE INDEX points_entries_user ON points_entries (user_id);
