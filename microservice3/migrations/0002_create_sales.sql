-- A read model for the sales report, so that it never weighs on the tables that take orders:
-- one row for each order that is confirmed, shipped or delivered.
CREATE TABLE sales (
    order_id  bigint PRIMARY KEY,
    placed_at timestamptz NOT NULL,
    reference text,
    units     bigint NOT NULL,
    revenue   numeric(12, 2) NOT NULL
);

CREATE INDEX sales_placed_at ON sales (placed_at);
CREATE INDEX sales_reference ON sales (reference text_pattern_ops);
