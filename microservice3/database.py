"""Database access: one function, one statement."""

from chassis import wire
from chassis.pagination import count_of
from chassis.stored_text import Texts
from chassis.text import in_nfc
from microservice3.models import Change, DayOfSales, Line, Order

# nobody can change a reference
TEXTS = (
    Texts("orders", {"reference": in_nfc}),
    Texts("sales", {"reference": in_nfc}, key="order_id"),
)

_ORDER = """
          id, user_id, state, shown, reason, refusal, requested, reference, subtotal, discount,
          total, currency, redeem_points, version, placed_at, created_at, updated_at
"""

_MATCHING = """
       WHERE shown
         AND (%(user_id)s::bigint IS NULL OR user_id = %(user_id)s)
         AND (%(states)s::text[] IS NULL OR state = ANY(%(states)s))
         AND (%(since)s::timestamptz IS NULL OR placed_at >= %(since)s)
         AND (%(until)s::timestamptz IS NULL OR placed_at < %(until)s)
         AND (%(reference)s::text IS NULL OR reference = %(reference)s)
"""


def insert_order(tx, *, user_id, requested, redeem_points, reference, currency, placed_at):
    """Accept an order, pending and not shown. placed_at: None for now."""
    return tx.one(
        Order,
        f"""
        INSERT INTO orders (user_id, requested, redeem_points, reference, currency, placed_at)
        VALUES (
                   %(user_id)s, %(requested)s::json, %(redeem_points)s, %(reference)s,
                   %(currency)s, coalesce(%(placed_at)s, now())
               )
        RETURNING {_ORDER}
        """,
        user_id=user_id,
        requested=requested,
        redeem_points=redeem_points,
        reference=reference,
        currency=currency,
        placed_at=placed_at,
    )


def has_orders(tx):
    return tx.value("SELECT EXISTS (SELECT FROM orders)")


def find_order(tx, order_id):
    """Return the order, shown or not, or None."""
    return tx.one(Order, f"SELECT {_ORDER} FROM orders WHERE id = %(order_id)s", order_id=order_id)


def lock_order(tx, order_id):
    """Return the order, its row locked until the end of the transaction."""
    return tx.one(
        Order,
        f"SELECT {_ORDER} FROM orders WHERE id = %(order_id)s FOR NO KEY UPDATE",
        order_id=order_id,
    )


def find_order_id(tx, user_id, reference):
    """Return the id of the user's order that has the reference and is shown, or None."""
    return tx.value(
        """
        SELECT id
          FROM orders
         WHERE user_id = %(user_id)s
           AND reference = %(reference)s
           AND shown
        """,
        user_id=user_id,
        reference=reference,
    )


def lock_test_order(tx, user_id, reference):
    """Lock and return the user's order that has the reference, shown or not, or None."""
    return tx.one(
        Order,
        f"""
        SELECT {_ORDER}
          FROM orders
         WHERE user_id = %(user_id)s
           AND reference = %(reference)s
           AND (refusal IS NULL OR shown)
           FOR UPDATE
        """,
        user_id=user_id,
        reference=reference,
    )


def delete_order(tx, order_id):
    """Delete an order with its lines and its history."""
    tx.queue("DELETE FROM order_items WHERE order_id = %(order_id)s", order_id=order_id)
    tx.queue("DELETE FROM order_history WHERE order_id = %(order_id)s", order_id=order_id)
    tx.queue("DELETE FROM orders WHERE id = %(order_id)s", order_id=order_id)


def count_orders(tx, **filters):
    return tx.value(count_of(f"orders {_MATCHING}"), **filters)


def list_orders(tx, window, **filters):
    return tx.all(
        Order,
        f"""
        SELECT {_ORDER}
          FROM orders
        {_MATCHING}
         AND (
                 %(after_id)s::bigint IS NULL
                 OR (placed_at, id) < (%(after_key)s::timestamptz, %(after_id)s)
             )
         ORDER BY placed_at DESC, id DESC
         LIMIT %(limit)s
        OFFSET %(offset)s
        """,
        **window,
        **filters,
    )


def show_order(tx, order_id):
    """Let clients see an order that is still under way. Returns it, or None if it is refused."""
    return tx.one(
        Order,
        f"""
           UPDATE orders
              SET shown = true
            WHERE id = %(order_id)s
              AND refusal IS NULL
        RETURNING {_ORDER}
        """,
        order_id=order_id,
    )


def reserve_order(tx, order_id, *, subtotal, discount):
    """Move pending -> reserved, with its amounts. None if the order has gone another way since."""
    return tx.one(
        Order,
        f"""
           UPDATE orders
              SET state = 'reserved',
                  subtotal = %(subtotal)s,
                  discount = %(discount)s,
                  total = %(subtotal)s - %(discount)s,
                  version = version + 1,
                  updated_at = now()
            WHERE id = %(order_id)s
              AND state = 'pending'
        RETURNING {_ORDER}
        """,
        order_id=order_id,
        subtotal=subtotal,
        discount=discount,
    )


def confirm_order(tx, order_id, *, state, subtotal, discount, units):
    """Move `state` -> confirmed, with the change in the history and the sale in the report.

    None if the order has gone another way since.
    """
    return tx.one(
        Order,
        f"""
          WITH confirmed AS (
                      UPDATE orders
                         SET state = 'confirmed',
                             shown = true,
                             subtotal = %(subtotal)s,
                             discount = %(discount)s,
                             total = %(subtotal)s - %(discount)s,
                             version = version + 1,
                             updated_at = now()
                       WHERE id = %(order_id)s
                         AND state = %(state)s
                   RETURNING *
               ),
               noted AS (
                   INSERT INTO order_history (order_id, from_status, to_status)
                   SELECT id, 'pending', 'confirmed'
                     FROM confirmed
               ),
               sold AS (
                   INSERT INTO sales (order_id, placed_at, reference, units, revenue)
                   SELECT id, placed_at, reference, %(units)s, total
                     FROM confirmed
               )
        SELECT {_ORDER}
          FROM confirmed
        """,
        order_id=order_id,
        state=state,
        subtotal=subtotal,
        discount=discount,
        units=units,
    )


def end_order(tx, order_id, *, state, reason=None, refusal=None):
    """Move `state` -> cancelled, or -> refused if nobody was told of the order.

    None if the order has gone another way since.
    """
    return tx.one(
        Order,
        f"""
           UPDATE orders
              SET state = CASE WHEN shown THEN 'cancelled' ELSE 'refused' END,
                  reason = coalesce(%(reason)s, reason),
                  refusal = coalesce(%(refusal)s::json, refusal),
                  version = version + 1,
                  updated_at = now()
            WHERE id = %(order_id)s
              AND state = %(state)s
        RETURNING {_ORDER}
        """,
        order_id=order_id,
        state=state,
        reason=reason,
        refusal=refusal,
    )


def move_order(tx, order_id, states, to, *, reason=None, refusal=None):
    """Move the order to another state, if it is in one of `states`. Returns it, or None."""
    return tx.one(
        Order,
        f"""
           UPDATE orders
              SET state = %(to)s,
                  reason = coalesce(%(reason)s, reason),
                  refusal = coalesce(%(refusal)s::json, refusal),
                  version = version + 1,
                  updated_at = now()
            WHERE id = %(order_id)s
              AND state = ANY(%(states)s)
        RETURNING {_ORDER}
        """,
        order_id=order_id,
        states=list(states),
        to=to,
        reason=reason,
        refusal=refusal,
    )


def raise_versions(tx, *, after, by, most):
    """Raise the versions of up to `most` orders behind that id which are not at their end.

    Returns the last id, or None.
    """
    return tx.value(
        """
          WITH raised AS (
                      UPDATE orders
                         SET version = version + %(by)s
                       WHERE id = ANY(ARRAY(
                                 SELECT id
                                   FROM orders
                                  WHERE id > %(after)s
                                    AND state NOT IN ('delivered', 'cancelled', 'refused')
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


def insert_lines(tx, order_id, lines):
    # as one JSON value: adapting them one by one would take longer than inserting them
    tx.queue(
        """
        INSERT INTO order_items
               (order_id, line, product_id, sku, name, quantity, unit_price, line_total)
        SELECT %(order_id)s, line - 1, product_id, sku, name, quantity, unit_price, line_total
          FROM ROWS FROM (
                   json_to_recordset(%(lines)s::json) AS (
                       product_id bigint, sku text, name text, quantity integer,
                       unit_price numeric, line_total numeric
                   )
               ) WITH ORDINALITY
               AS item (product_id, sku, name, quantity, unit_price, line_total, line)
        """,
        order_id=order_id,
        lines=wire.dumps(lines).decode(),
    )


def list_lines(tx, order_id):
    return tx.all(
        Line,
        """
        SELECT product_id, sku, name, quantity, unit_price, line_total
          FROM order_items
         WHERE order_id = %(order_id)s
         ORDER BY line
        """,
        order_id=order_id,
    )


def insert_change(tx, order_id, from_status, to_status, reason=None):
    tx.queue(
        """
        INSERT INTO order_history (order_id, from_status, to_status, reason)
        VALUES (%(order_id)s, %(from_status)s, %(to_status)s, %(reason)s)
        """,
        order_id=order_id,
        from_status=from_status,
        to_status=to_status,
        reason=reason,
    )


def list_changes(tx, order_id):
    """Return the changes of an order's status; the first, to pending, is its own creation."""
    return tx.all(
        Change,
        """
        SELECT at, from_status, to_status, reason
          FROM (
                   SELECT 0 AS id, created_at AS at, NULL AS from_status, 'pending' AS to_status,
                          NULL AS reason
                     FROM orders
                    WHERE id = %(order_id)s
                UNION ALL
                   SELECT id, at, from_status, to_status, reason
                     FROM order_history
                    WHERE order_id = %(order_id)s
               ) AS changes
         ORDER BY id
        """,
        order_id=order_id,
    )


def delete_sale(tx, order_id):
    tx.queue("DELETE FROM sales WHERE order_id = %(order_id)s", order_id=order_id)


def list_days_of_sales(tx, *, since, until, first, end):
    """Return the days with sales placed from `since` on and before `until`, the earliest first.

    first, end: the days from `first` on and before `end` lie in the period as a whole and are taken
    from their totals. Sales are added up one by one only for the rest, parts of two days at most.
    """
    return tx.all(
        DayOfSales,
        """
        SELECT date,
               sum(orders)::bigint AS orders,
               sum(units)::bigint AS units,
               sum(revenue) AS revenue
          FROM (
                   SELECT date, orders, units, revenue
                     FROM days_of_sales
                    WHERE date >= %(first)s AND date < %(end)s
                UNION ALL
                   SELECT date, orders, units, revenue
                     FROM sales_changes
                    WHERE date >= %(first)s AND date < %(end)s
                UNION ALL
                   SELECT (placed_at AT TIME ZONE 'UTC')::date, 1, units, revenue
                     FROM sales
                    WHERE %(since)s < %(first)s
                      AND placed_at >= %(since)s
                      AND placed_at < least(%(until)s, %(first)s)
                UNION ALL
                   SELECT (placed_at AT TIME ZONE 'UTC')::date, 1, units, revenue
                     FROM sales
                    WHERE %(end)s < %(until)s
                      AND placed_at >= greatest(%(since)s, %(end)s)
                      AND placed_at < %(until)s
               ) AS sold
         GROUP BY date
        HAVING sum(orders) > 0
         ORDER BY date
        """,
        since=since,
        until=until,
        first=first,
        end=end,
    )


def list_days_of_sales_like(tx, prefix, *, since, until):
    """Return the same days, but only of orders whose reference begins with `prefix`."""
    return tx.all(
        DayOfSales,
        """
        SELECT (placed_at AT TIME ZONE 'UTC')::date AS date,
               count(*) AS orders,
               sum(units)::bigint AS units,
               sum(revenue) AS revenue
          FROM sales
         WHERE placed_at >= %(since)s
           AND placed_at < %(until)s
           AND starts_with(reference, %(prefix)s)
         GROUP BY 1
         ORDER BY 1
        """,
        prefix=prefix,
        since=since,
        until=until,
    )


def fold_sales(tx, most):
    """Add up to `most` changes to the totals of their days. Returns how many were added."""
    return tx.value(
        """
          WITH taken AS (
                      DELETE FROM sales_changes
                       WHERE id = ANY(ARRAY(
                                 SELECT id
                                   FROM sales_changes
                                  ORDER BY id
                                  LIMIT %(most)s
                                    FOR UPDATE SKIP LOCKED
                             ))
                   RETURNING date, orders, units, revenue
               ),
               added AS (
                   INSERT INTO days_of_sales AS day (date, orders, units, revenue)
                   SELECT date, sum(orders), sum(units), sum(revenue)
                     FROM taken
                    GROUP BY date
                    ORDER BY date
                       ON CONFLICT (date) DO UPDATE
                      SET orders = day.orders + excluded.orders,
                          units = day.units + excluded.units,
                          revenue = day.revenue + excluded.revenue
               )
        SELECT count(*)
          FROM taken
        """,
        most=most,
    )
