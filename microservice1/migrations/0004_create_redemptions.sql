-- One row for each order that has asked, for ever: the answer to the same question stays the same.
-- No reference to users: what was answered is still so when the user is gone.
CREATE TABLE redemptions (
    order_id   bigint PRIMARY KEY,
    state      text NOT NULL CHECK (state IN ('redeemed', 'refunded', 'declined')),
    user_id    bigint,                              -- null: given up before it was asked for
    points     bigint CHECK (points > 0),           -- likewise
    balance    bigint,                              -- what there was, when declined
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
