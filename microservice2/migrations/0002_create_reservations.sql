-- One row for each order that has asked, for ever: the answer to the same question stays the same.
CREATE TABLE reservations (
    order_id   bigint PRIMARY KEY,
    state      text NOT NULL CHECK (state IN ('held', 'released', 'refused')),
    refusal    json,                                -- what was answered, when refused
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- No reference to products: an order keeps its lines when a product is deleted.
CREATE TABLE reservation_items (
    order_id   bigint NOT NULL REFERENCES reservations ON DELETE CASCADE,
    line       integer NOT NULL,
    product_id bigint NOT NULL,
    quantity   integer NOT NULL CHECK (quantity > 0),
    sku        text NOT NULL,
    name       text NOT NULL,
    price      numeric(12, 2) NOT NULL,
    PRIMARY KEY (order_id, line)
);
