-- Which orders are counted in products.units_sold. A cancelled one stays, as a tombstone:
-- its confirmation may come later, and then counts no more.
CREATE TABLE sales (
    order_id bigint PRIMARY KEY,
    state    text NOT NULL CHECK (state IN ('counted', 'cancelled'))
);
