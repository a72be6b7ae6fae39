"""Database access: one function, one statement."""

from dataclasses import dataclass
from functools import partial

from chassis import wire
from chassis.pagination import count_of
from chassis.stored_text import Texts
from chassis.text import as_name, in_nfc, normalised
from microservice2.models import Category, Product, Reservation, ReservedItem, Shelf, StockEntry

TEXTS = (
    Texts(
        "products",
        {
            "sku": as_name,
            "name": as_name,
            "category": as_name,
            "description": partial(normalised, lines=True),
        },
    ),
    Texts("stock_entries", {"reference": in_nfc, "reason": in_nfc}),  # nobody can change them
)


@dataclass(frozen=True, slots=True)
class Sort:
    """key: what comes before the id, or None. behind: what lies behind a place in this order."""

    key: str | None
    order: str
    behind: str


# Every sort ends with the id, so that a page never shows what another has shown. Where the two
# directions differ, no comparison of rows says what lies behind; the first half is for the index.
SORTS = {
    None: Sort(None, "id", "id > %(after_id)s"),
    "price_asc": Sort("price", "price, id", "(price, id) > (%(after_key)s::numeric, %(after_id)s)"),
    "price_desc": Sort(
        "price",
        "price DESC, id",
        """
        price <= %(after_key)s::numeric
        AND (price < %(after_key)s::numeric OR id > %(after_id)s)
        """,
    ),
    "name": Sort(
        "name",
        "name COLLATE names, id",
        "(name COLLATE names, id) > (%(after_key)s::text, %(after_id)s)",
    ),
    "newest": Sort(
        "created_at",
        "created_at DESC, id DESC",
        "(created_at, id) < (%(after_key)s::timestamptz, %(after_id)s)",
    ),
    "popular": Sort(
        "units_sold",
        "units_sold DESC, id",
        """
        units_sold <= %(after_key)s::bigint
        AND (units_sold < %(after_key)s::bigint OR id > %(after_id)s)
        """,
    ),
}

_MATCHING = """
       WHERE (%(category)s::text IS NULL OR category = %(category)s)
         AND (%(sku)s::text IS NULL OR sku = %(sku)s)
         AND (%(min_price)s::numeric IS NULL OR price >= %(min_price)s)
         AND (%(max_price)s::numeric IS NULL OR price <= %(max_price)s)
         AND (%(in_stock)s::boolean IS NULL OR (stock > 0) = %(in_stock)s)
         AND (
                 %(words)s::text[] IS NULL
                 OR concat_ws(' ', name, description, sku) ILIKE ALL (%(words)s)
             )
"""

_PRODUCT = """
          id, sku, name, description, category, price, stock, units_sold, has_image,
          version, created_at, updated_at
"""


def insert_product(tx, *, sku, name, description, category, price, stock):
    return tx.one(
        Product,
        f"""
        INSERT INTO products (sku, name, description, category, price, stock)
        VALUES (%(sku)s, %(name)s, %(description)s, %(category)s, %(price)s, %(stock)s)
        RETURNING {_PRODUCT}
        """,
        sku=sku,
        name=name,
        description=description,
        category=category,
        price=price,
        stock=stock,
    )


def find_product(tx, product_id):
    return tx.one(
        Product,
        f"SELECT {_PRODUCT} FROM products WHERE id = %(product_id)s",
        product_id=product_id,
    )


def lock_product(tx, product_id):
    """Return the product, its row locked until the end of the transaction, or None."""
    return tx.one(
        Product,
        f"SELECT {_PRODUCT} FROM products WHERE id = %(product_id)s FOR UPDATE",
        product_id=product_id,
    )


def count_products(tx, **filters):
    return tx.value(count_of(f"products {_MATCHING}"), **filters)


def list_products(tx, window, *, sort, **filters):
    return tx.all(
        Product,
        f"""
        SELECT {_PRODUCT}
          FROM products
        {_MATCHING}
         AND (%(after_id)s::bigint IS NULL OR ({SORTS[sort].behind}))
         ORDER BY {SORTS[sort].order}
         LIMIT %(limit)s
        OFFSET %(offset)s
        """,
        **window,
        **filters,
    )


def list_products_by_id(tx, product_ids):
    return tx.all(
        Product,
        f"""
        SELECT {_PRODUCT}
          FROM products
         WHERE id = ANY(%(product_ids)s::bigint[])
         ORDER BY id
        """,
        product_ids=product_ids,
    )


def update_product(tx, product_id, *, sku, name, description, category, price):
    return tx.one(
        Product,
        f"""
           UPDATE products
              SET sku = %(sku)s,
                  name = %(name)s,
                  description = %(description)s,
                  category = %(category)s,
                  price = %(price)s,
                  version = version + 1,
                  updated_at = now()
            WHERE id = %(product_id)s
        RETURNING {_PRODUCT}
        """,
        product_id=product_id,
        sku=sku,
        name=name,
        description=description,
        category=category,
        price=price,
    )


def update_image(tx, product_id, *, has_image):
    return tx.one(
        Product,
        f"""
           UPDATE products
              SET has_image = %(has_image)s,
                  version = version + 1,
                  updated_at = now()
            WHERE id = %(product_id)s
        RETURNING {_PRODUCT}
        """,
        product_id=product_id,
        has_image=has_image,
    )


def list_ids_with_image(tx, product_ids):
    return tx.column(
        """
        SELECT id
          FROM products
         WHERE id = ANY(%(product_ids)s::bigint[])
           AND has_image
        """,
        product_ids=product_ids,
    )


def delete_product(tx, product_id):
    return tx.run("DELETE FROM products WHERE id = %(product_id)s", product_id=product_id)


def change_stock(tx, product_id, delta):
    """Return the product with its stock changed, or None if it would fall below zero."""
    return tx.one(
        Product,
        f"""
           UPDATE products
              SET stock = stock + %(delta)s,
                  updated_at = now()
            WHERE id = %(product_id)s
              AND stock + %(delta)s >= 0
        RETURNING {_PRODUCT}
        """,
        product_id=product_id,
        delta=delta,
    )


def insert_stock_entry(tx, product_id, *, delta, reason, reference):
    tx.run(
        """
        INSERT INTO stock_entries (product_id, delta, reason, reference)
        VALUES (%(product_id)s, %(delta)s, %(reason)s, %(reference)s)
        """,
        product_id=product_id,
        delta=delta,
        reason=reason,
        reference=reference,
    )


def raise_versions(tx, *, after, by, most):
    """Raise the versions of up to `most` products behind that id. Returns the last id, or None."""
    return tx.value(
        """
          WITH raised AS (
                      UPDATE products
                         SET version = version + %(by)s
                       WHERE id = ANY(ARRAY(
                                 SELECT id
                                   FROM products
                                  WHERE id > %(after)s
                                  ORDER BY id
                                  LIMIT %(most)s
                             ))
                   RETURNING id
               )
        SELECT max(id)
          FROM raised
        """,
        after=after,
        by=by,
        most=most,
    )


def count_stock_entries(tx, product_id, reference):
    return tx.value(
        count_of(
            """
                  stock_entries
            WHERE product_id = %(product_id)s
              AND (%(reference)s::text IS NULL OR reference = %(reference)s)
            """
        ),
        product_id=product_id,
        reference=reference,
    )


def list_stock_entries(tx, product_id, reference, window):
    return tx.all(
        StockEntry,
        """
        SELECT id, delta, reason, reference, created_at
          FROM stock_entries
         WHERE product_id = %(product_id)s
           AND (%(reference)s::text IS NULL OR reference = %(reference)s)
           AND (%(after_id)s::bigint IS NULL OR id > %(after_id)s)
         ORDER BY id
         LIMIT %(limit)s
        OFFSET %(offset)s
        """,
        product_id=product_id,
        reference=reference,
        **window,
    )


def list_categories(tx):
    return tx.all(
        Category,
        """
        SELECT category, count(*) AS products
          FROM products
         GROUP BY category
         ORDER BY category COLLATE names
        """,
    )


def claim_reservation(tx, order_id, state):
    """Insert the order's reservation. False if it has one already; then nothing was changed."""
    return tx.run(
        """
        INSERT INTO reservations (order_id, state)
        VALUES (%(order_id)s, %(state)s)
            ON CONFLICT DO NOTHING
        """,
        order_id=order_id,
        state=state,
    )


def lock_reservation(tx, order_id):
    """Return the order's reservation, its row locked until the end of the transaction, or None."""
    return tx.one(
        Reservation,
        """
        SELECT order_id, state, refusal
          FROM reservations
         WHERE order_id = %(order_id)s
           FOR UPDATE
        """,
        order_id=order_id,
    )


def find_reservation(tx, order_id):
    return tx.one(
        Reservation,
        "SELECT order_id, state, refusal FROM reservations WHERE order_id = %(order_id)s",
        order_id=order_id,
    )


def update_reservation(tx, order_id, *, state, refusal=None):
    tx.queue(
        """
        UPDATE reservations
           SET state = %(state)s,
               refusal = %(refusal)s::json,
               updated_at = now()
         WHERE order_id = %(order_id)s
        """,
        order_id=order_id,
        state=state,
        refusal=refusal,
    )


def lock_shelves(tx, product_ids):
    """Lock the products in the order of their ids, so that two orders never wait for each other."""
    return tx.all(
        Shelf,
        """
        SELECT id, sku, name, price, stock
          FROM products
         WHERE id = ANY(%(product_ids)s::bigint[])
         ORDER BY id
           FOR NO KEY UPDATE
        """,
        product_ids=product_ids,
    )


def take_stock(tx, quantities):
    """Lower the stock of each product by its quantity; CHECK (stock >= 0) stands behind it."""
    _move_stock(tx, {product_id: -quantity for product_id, quantity in quantities.items()})


def return_stock(tx, quantities):
    """Raise the stock of each product by its quantity; a product that is gone is passed over."""
    _move_stock(tx, quantities)


def _move_stock(tx, deltas):
    tx.queue(
        """
        UPDATE products
           SET stock = stock + moved.delta
          FROM unnest(%(ids)s::bigint[], %(deltas)s::bigint[]) AS moved (id, delta)
         WHERE products.id = moved.id
        """,
        ids=list(deltas),
        deltas=list(deltas.values()),
    )


def insert_reserved_items(tx, order_id, items):
    """Write down the lines of a reservation, in their order. items: ReservedItem."""
    # as one JSON value: adapting them one by one would take longer than inserting them
    tx.queue(
        """
        INSERT INTO reservation_items (order_id, line, product_id, quantity, sku, name, price)
        SELECT %(order_id)s, line - 1, product_id, quantity, sku, name, price
          FROM ROWS FROM (
                   json_to_recordset(%(items)s::json) AS (
                       product_id bigint, quantity integer, sku text, name text, price numeric
                   )
               ) WITH ORDINALITY AS item (product_id, quantity, sku, name, price, line)
        """,
        order_id=order_id,
        items=wire.dumps(items).decode(),
    )


def list_reserved_items(tx, order_id):
    return tx.all(
        ReservedItem,
        """
        SELECT product_id, quantity, sku, name, price
          FROM reservation_items
         WHERE order_id = %(order_id)s
         ORDER BY line
        """,
        order_id=order_id,
    )


def insert_sale(tx, order_id, state):
    """Remember that an order is counted, or never will be. False if it was known already."""
    return tx.run(
        """
        INSERT INTO sales (order_id, state)
        VALUES (%(order_id)s, %(state)s)
            ON CONFLICT DO NOTHING
        """,
        order_id=order_id,
        state=state,
    )


def cancel_sale(tx, order_id):
    """Take an order out of the count. False if it was not in it."""
    return tx.run(
        """
        UPDATE sales
           SET state = 'cancelled'
         WHERE order_id = %(order_id)s
           AND state = 'counted'
        """,
        order_id=order_id,
    )


def add_units_sold(tx, units):
    """Add to the units sold of each product. units: {product_id: difference}."""
    tx.queue(
        """
        UPDATE products
           SET units_sold = units_sold + sold.units
          FROM unnest(%(ids)s::bigint[], %(units)s::bigint[]) AS sold (id, units)
         WHERE products.id = sold.id
        """,
        ids=list(units),
        units=list(units.values()),
    )
