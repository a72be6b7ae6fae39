"""The saga: how an accepted order comes to its end, whatever happens on the way.

Each step is one call to a neighbour outside of any transaction, then one transaction that moves the
order from the state it was found in and writes down what follows. A move that finds the order in
another state changes nothing: somebody else was first, or the answer came late. The request handler
takes the steps for speed, the worker takes those that are left; both call `advance`.
"""

from decimal import Decimal

from chassis import audit, outbox, wire
from chassis.database import transaction
from chassis.errors import Problem
from chassis.money import LARGEST_AMOUNT
from microservice3 import clients, database
from microservice3.errors import (
    REFUSALS,
    NotEnoughPoints,
    RedeemTooMuch,
    TooLate,
    TotalTooLarge,
)
from microservice3.models import Line

LANE = "saga"
POINT = Decimal("0.01")  # what one is worth: 100 of them are one unit of the currency
EVERYBODY = ("microservice1", "microservice2", "microservice4")
CUSTOMER_ONLY = ("microservice4",)


def advance(order):
    """Take an order as far as it goes: confirmed, cancelled or refused.

    Returns it, and its lines if it is confirmed, else None. Raises NeighbourUnavailable
    if a neighbour does not answer; the order then waits where it is.
    """
    lines = None
    while step := _STEPS.get(order.state):
        order, lines = step(order)
    return order, lines


def finish(message):
    """Advance the order of a message that the worker has leased."""
    task = wire.loads(message.body)
    with transaction() as tx:
        order = database.find_order(tx, task["order_id"])
    with audit.on_behalf_of(task["actor"]):
        advance(order)


def begin(tx, order):
    """Leave word for the worker to finish this order, unless the caller does. Returns the lease."""
    task = {"order_id": order.id, "actor": audit.actor()}
    return outbox.enqueue_held(tx, LANE, subject=subject_of(order), message=task)


def hand_over(tx, order, lease):
    """Let the worker finish the order at once, as the caller does not."""
    outbox.hand_over(tx, LANE, subject=subject_of(order), lease=lease)


def publish(tx, event, order, lines, to):
    """Tell others what happened to an order."""
    outbox.publish(
        tx,
        event,
        subject=subject_of(order),
        data={
            "order_id": order.id,
            "user_id": order.user_id,
            "version": order.version,
            "status": order.status,
            "reason": order.reason,
            "total": order.total,
            "currency": order.currency,
            "items": lines,
        },
        to=to,
    )


def refusal_of(order):
    """Return the refusal that was written down with an order, to be raised."""
    written = dict(order.refusal)
    return REFUSALS[written.pop("code")](written.pop("detail"), **written)


def turn_back(tx, order, reason):
    """Begin to cancel an order that has a way back. Returns it and the lease.

    Both are None if it is no longer where it was found.
    """
    moved = database.move_order(tx, order.id, [order.state], way_back(order), reason=reason)
    if moved is None:
        return None, None
    database.insert_change(tx, order.id, order.status, "cancelling", reason)
    database.delete_sale(tx, order.id)
    audit.record(tx, "order.cancelled", subject_of(order))
    return moved, begin(tx, moved)


def subject_of(order):
    return f"order/{order.id}"


def lines_of(tx, order):
    """Return the lines of an order; those of one that was never reserved, as they were sent."""
    return requested_lines(order) if order.total is None else database.list_lines(tx, order.id)


def requested_lines(order):
    """Return the lines of an order as they were sent, without what Products says of them."""
    return [
        Line(
            product_id=item["product_id"],
            sku=None,
            name=None,
            quantity=item["quantity"],
            unit_price=item.get("unit_price"),
            line_total=None,
        )
        for item in order.requested
    ]


def way_back(order):
    """Return the state in which the cancellation of an order begins, or None if it is too late."""
    if order.state == "pending":
        return "releasing"
    if order.state == "reserved":
        return "refunding"
    if order.state == "confirmed":
        return "refunding" if order.redeem_points else "releasing"
    return None


def _reserve(order):
    """pending: ask for the stock. It is held, and the order goes on; or there is not enough."""
    try:
        reserved = clients.reserve(order.id, order.requested)
    except tuple(REFUSALS.values()) as refusal:
        return _refuse(order, refusal), None
    lines = [_line(*pair) for pair in zip(order.requested, reserved, strict=True)]
    subtotal = sum((line.line_total for line in lines), Decimal(0))
    discount = POINT * order.redeem_points
    if subtotal > LARGEST_AMOUNT:
        return _give_up(order, TotalTooLarge()), None
    if discount > subtotal:
        return _give_up(
            order, RedeemTooMuch(f"The points are worth {discount} of {subtotal}")
        ), None
    with transaction() as tx:
        if order.redeem_points:
            moved = database.reserve_order(tx, order.id, subtotal=subtotal, discount=discount)
        else:
            moved = _confirmed(tx, order, lines, subtotal, discount)
        if moved is None:
            return database.find_order(tx, order.id), lines
        database.insert_lines(tx, order.id, lines)
        return moved, lines


def _redeem(order):
    """reserved: take the points, the last that can be refused. Then the order is confirmed."""
    try:
        clients.redeem(order.id, order.user_id, order.redeem_points)
    except (NotEnoughPoints, TooLate) as refusal:
        return _give_up(order, refusal), None
    with transaction() as tx:
        lines = database.list_lines(tx, order.id)
        moved = _confirmed(tx, order, lines, order.subtotal, order.discount)
        return moved or database.find_order(tx, order.id), lines


def _refund(order):
    """refunding: give the points back, and then the stock."""
    clients.refund(order.id)
    with transaction() as tx:
        moved = database.move_order(tx, order.id, ["refunding"], "releasing")
        return moved or database.find_order(tx, order.id), None


def _release(order):
    """releasing: give the stock back. Then the order is at its end."""
    clients.release(order.id)
    with transaction() as tx:
        ended = database.end_order(tx, order.id, state="releasing")
        return _ended(tx, order, ended), None


_STEPS = {"pending": _reserve, "reserved": _redeem, "refunding": _refund, "releasing": _release}


def _confirmed(tx, order, lines, subtotal, discount):
    """Confirm an order and tell everybody. None if the order has gone another way since."""
    confirmed = database.confirm_order(
        tx,
        order.id,
        state=order.state,
        subtotal=subtotal,
        discount=discount,
        units=sum(line.quantity for line in lines),
    )
    if confirmed is not None:
        publish(tx, "order.confirmed", confirmed, lines, EVERYBODY)
        outbox.settle(tx, LANE, subject=subject_of(order))
        if not order.shown:
            audit.record(tx, "order.placed", subject_of(order))
    return confirmed


def _refuse(order, refusal):
    with transaction() as tx:
        ended = database.end_order(
            tx,
            order.id,
            state="pending",
            reason=refusal.detail,
            refusal=_written(refusal),
        )
        return _ended(tx, order, ended)


def _give_up(order, refusal):
    """The stock is held but the order cannot be: give the stock back first."""
    with transaction() as tx:
        moved = database.move_order(
            tx,
            order.id,
            [order.state],
            "releasing",
            reason=refusal.detail,
            refusal=_written(refusal),
        )
        if moved is None:
            return database.find_order(tx, order.id)
        database.insert_change(tx, order.id, order.status, "cancelling", refusal.detail)
        return moved


def _ended(tx, before, ended):
    """Write down what follows from an order's end; `ended` is None if somebody else was first."""
    if ended is None:
        return database.find_order(tx, before.id)
    outbox.settle(tx, LANE, subject=subject_of(ended))
    if ended.state == "cancelled":
        database.insert_change(tx, ended.id, before.status, "cancelled", ended.reason)
        publish(tx, "order.cancelled", ended, lines_of(tx, ended), EVERYBODY)
    return ended


def _line(requested, reserved):
    unit_price = requested.get("unit_price", reserved["price"])
    return Line(
        product_id=reserved["product_id"],
        sku=reserved["sku"],
        name=reserved["name"],
        quantity=reserved["quantity"],
        unit_price=unit_price,
        line_total=unit_price * reserved["quantity"],
    )


def _written(refusal: Problem):
    written = {"code": refusal.code, "detail": refusal.detail, **refusal.extra}
    return wire.dumps(written).decode()
