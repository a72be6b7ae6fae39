-- What became of an order is in `state`, which only ever moves by compare-and-set:
--   pending -> reserved -> confirmed -> shipped -> delivered   (a client sees `reserved` as `pending`)
--   reserved | confirmed -> refunding -> releasing -> cancelled
--   pending | reserved | confirmed -> releasing -> cancelled   (`cancelling` to a client)
--   pending | releasing -> refused                             (never shown: the client got a 4xx)
-- Without points to redeem there is no `reserved` and no `refunding`.
CREATE TABLE orders (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id       bigint NOT NULL,
    state         text NOT NULL DEFAULT 'pending' CHECK (
                      state IN ('pending', 'reserved', 'confirmed', 'shipped', 'delivered',
                                'refunding', 'releasing', 'cancelled', 'refused')
                  ),
    shown         boolean NOT NULL DEFAULT false,   -- the client was told of it: 201 or 202
    reason        text,                             -- why it was cancelled
    refusal       json,                             -- the problem that it was refused with
    requested     json NOT NULL,                    -- the lines as they were sent
    reference     text,
    subtotal      numeric(12, 2),                   -- no amounts until Products has told the prices
    discount      numeric(12, 2) NOT NULL DEFAULT 0,
    total         numeric(12, 2),
    currency      text NOT NULL,
    redeem_points bigint NOT NULL DEFAULT 0,
    version       integer NOT NULL DEFAULT 1,
    placed_at     timestamptz NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

-- A refused order does not take its reference.
CREATE UNIQUE INDEX orders_reference_key ON orders (user_id, reference) WHERE refusal IS NULL OR shown;
CREATE INDEX orders_newest ON orders (placed_at DESC, id DESC) WHERE shown;
CREATE INDEX orders_of_user ON orders (user_id, placed_at DESC, id DESC) WHERE shown;
CREATE INDEX orders_by_reference ON orders (reference) WHERE shown;

-- What was sold, as it was called and priced then. Written once, when the order is confirmed.
CREATE TABLE order_items (
    order_id   bigint NOT NULL REFERENCES orders,
    line       integer NOT NULL,
    product_id bigint NOT NULL,
    sku        text NOT NULL,
    name       text NOT NULL,
    quantity   integer NOT NULL CHECK (quantity > 0),
    unit_price numeric(12, 2) NOT NULL,
    line_total numeric(12, 2) NOT NULL,
    PRIMARY KEY (order_id, line)
);

-- Every change of status but the first, which is the creation of the order.
CREATE TABLE order_history (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id    bigint NOT NULL REFERENCES orders,
    at          timestamptz NOT NULL DEFAULT now(),
    from_status text NOT NULL,                      -- statuses as the client sees them
    to_status   text NOT NULL,
    reason      text
);

CREATE INDEX order_history_order ON order_history (order_id, id);
