CREATE TABLE products (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku         text NOT NULL CONSTRAINT products_sku_key UNIQUE,
    name        text NOT NULL,
    description text NOT NULL DEFAULT '',
    category    text NOT NULL,
    price       numeric(12, 2) NOT NULL CHECK (price >= 0),
    stock       bigint NOT NULL DEFAULT 0 CHECK (stock >= 0),  -- what can still be sold
    units_sold  bigint NOT NULL DEFAULT 0,                     -- a read model, fed by events
    has_image   boolean NOT NULL DEFAULT false,                -- in the folder that Nginx serves
    version     integer NOT NULL DEFAULT 1,                    -- counts edits, not sales
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);  -- room for a row to change its stock in place: no index is touched

CREATE INDEX products_category ON products (category, id);
CREATE INDEX products_price ON products (price, id);
CREATE INDEX products_name ON products (name, id);

-- Every change of stock that an administrator enters. Their sum is what is left plus what is held.
CREATE TABLE stock_entries (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id bigint NOT NULL REFERENCES products ON DELETE CASCADE,
    delta      bigint NOT NULL CHECK (delta <> 0),
    reason     text NOT NULL,
    reference  text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT stock_entries_reference_key UNIQUE (product_id, reference)
);
