"""What must be true of the four databases and of what clients were told, when all has settled."""

_STANDING = ("confirmed", "shipped", "delivered")
_RANK = {
    "pending": 0,
    "confirmed": 1,
    "shipped": 2,
    "delivered": 3,
    "cancelling": 4,
    "cancelled": 5,
}


def broken_promises(world):
    """Return a list of sentences, one for each promise that is broken."""
    return [
        *_stock(world),
        *_ends(world),
        *_points(world),
        *_clients(world),
        *_mails(world),
        *_all_done(world),
    ]


def _stock(world):
    rows = world.query(
        "microservice2",
        """
        SELECT products.id, stock,
               (SELECT sum(delta) FROM stock_entries WHERE product_id = products.id),
               coalesce((SELECT sum(quantity)
                           FROM reservation_items JOIN reservations USING (order_id)
                          WHERE product_id = products.id AND state = 'held'), 0)
          FROM products
        """,
    )
    for product_id, stock, entered, held in rows:
        if stock < 0 or entered != stock + held:
            yield f"product {product_id}: {entered} entered, {stock} left, {held} held"


def _ends(world):
    held = _states(world, "microservice2", "reservations")
    redeemed = _states(world, "microservice1", "redemptions")
    for order_id, state, points, shown in _orders(world):
        if state not in (*_STANDING, "cancelled", "refused"):
            yield f"order {order_id} is still {state}"
        stands = state in _STANDING
        if (held.get(order_id) == "held") != stands:
            yield f"order {order_id} is {state}, its stock {held.get(order_id)}"
        if (redeemed.get(order_id) == "redeemed") != (stands and points > 0):
            yield f"order {order_id} is {state}, its points {redeemed.get(order_id)}"
        if state in ("cancelled", "refused") and shown != (state == "cancelled"):
            yield f"order {order_id} is {state}, and shown: {shown}"


def _points(world):
    """Earned once by what stands, taken once, and the sums are those of the ledger."""
    totals = dict(world.query("microservice3", "SELECT id, floor(total) FROM orders"))
    entries = {
        (order_id, kind): (points, balance)
        for order_id, kind, points, balance in world.query(
            "microservice1", "SELECT order_id, kind, points, balance FROM points_entries"
        )
        if order_id is not None
    }
    for order_id, state, points, _ in _orders(world):
        net = sum(entry[1] for (order, _), entry in entries.items() if order == order_id)
        due = totals[order_id] - points if state in _STANDING else 0
        if net != due:
            yield f"order {order_id} is {state}, and moved the balance by {net} instead of {due}"
    for user_id, points, balance, *sums in world.query(
        "microservice1",
        """
        SELECT users.id, users.points, points_balance, sum(entries.points), sum(entries.balance)
          FROM users JOIN points_entries AS entries ON user_id = users.id GROUP BY users.id
        """,
    ):
        if [points, balance] != sums:
            yield f"user {user_id} has {points} and {balance}, the ledger {sums}"


def _clients(world):
    """No order lost, none made up, none twice, and no status that went backwards."""
    orders = {
        (user_id, reference): (order_id, state, shown)
        for order_id, user_id, reference, state, shown in world.query(
            "microservice3",
            "SELECT id, user_id, reference, state, shown FROM orders",
        )
    }
    for user_id, asked, answer in world.answers:
        _, state, shown = orders.get((user_id, asked["reference"]), (None, None, False))
        if answer is None or answer.status_code >= 500:
            continue
        if answer.status_code in (201, 202) and not shown:
            yield f"{asked['reference']} was promised and is {state}"
        if 400 <= answer.status_code < 500 and shown:
            yield f"{asked['reference']} was refused and is {state}"
    for order_id, statuses in world.seen.items():
        ranks = [_RANK[status] for status in statuses]
        if ranks != sorted(ranks):
            yield f"order {order_id} went {' > '.join(statuses)}"


def _mails(world):
    """One e-mail for each event, none for what was refused, nothing told after its cancellation."""
    told = {}
    for order_id, event_type, status in world.query(
        "microservice4",
        """
        SELECT order_id, event_type, status
          FROM notifications
         WHERE order_id IS NOT NULL
         ORDER BY sent_at, id
        """,
    ):
        told.setdefault(order_id, []).append((event_type, status))
    for order_id, state, _, _ in _orders(world):
        sent = [event for event, status in told.get(order_id, []) if status == "sent"]
        if len(set(sent)) != len(sent):
            yield f"order {order_id}: told twice: {sent}"
        if "order.cancelled" in sent[:-1]:
            yield f"order {order_id}: told after its cancellation: {sent}"
        if state == "refused" and told.get(order_id):
            yield f"order {order_id} was refused at once, and told of: {told[order_id]}"
        if state == "cancelled" and "order.cancelled" not in sent:
            yield f"order {order_id} was cancelled, and nobody was told: {told.get(order_id)}"
        if state == "confirmed" and sent != ["order.confirmed"]:
            yield f"order {order_id} is confirmed, and this was told: {told.get(order_id)}"


def _all_done(world):
    for name in world.services:
        for lane, subject, state, error in world.query(
            name, "SELECT lane, subject, state, last_error FROM outbox"
        ):
            yield f"{name} still has for {lane} of {subject} ({state}: {error})"


def _orders(world):
    return world.query("microservice3", "SELECT id, state, redeem_points, shown FROM orders")


def _states(world, name, table):
    return dict(world.query(name, f"SELECT order_id, state FROM {table}"))
