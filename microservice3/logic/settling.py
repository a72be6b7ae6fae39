"""Settling: one service alone has gone back to a backup, and the others are made to agree with it.

What Orders knows of an order counts. The calls are those of the saga, and what is told again is
counted once: who asks twice changes nothing.
"""

from chassis.database import transaction
from microservice3 import clients, database
from microservice3.errors import REFUSALS, InvalidTransition
from microservice3.logic import saga

COUNTING = ("microservice1", "microservice2")  # customers are not told again what they know
STANDING = ("confirmed", "shipped", "delivered")
FALLEN = ("cancelled", "refused")
RAISED_AT_ONCE = 1000


def settle(order_id):
    """Make the neighbours hold what an order needs, and no more. Returns what was done, in words.

    One that stands and cannot have what it needs is cancelled. Raises InvalidTransition if it has
    been sent already, and NeighbourUnavailable: then ask again.
    """
    with transaction() as tx:
        order = database.find_order(tx, order_id)
    if order is None:
        _give_back(order_id)
        return "is not known: what was held for it is given back"
    if order.state in FALLEN:
        _give_back(order_id)
        if order.state == "cancelled":
            _tell_again("order.cancelled", order)
        return f"is {order.state}: what was held for it is given back"
    if order.state in STANDING:
        return _hold_again(order)
    return "is under way: the worker ends it"


def _give_back(order_id):
    clients.refund(order_id)
    clients.release(order_id)


def _hold_again(order):
    try:
        clients.reserve(order.id, order.requested)
        if order.redeem_points:
            clients.redeem(order.id, order.user_id, order.redeem_points)
    except tuple(REFUSALS.values()) as refusal:
        return _cancel(order, refusal)
    _tell_again("order.confirmed", order)
    return f"is {order.state}: what it needs is held"


def _cancel(order, refusal):
    if saga.way_back(order) is None:
        raise InvalidTransition(f"is {order.state}, and what it needs is gone: {refusal.detail}")
    with transaction() as tx:
        moved, _ = saga.turn_back(tx, order, f"Cancelled by the shop: {refusal.detail}")
    if moved is None:
        return settle(order.id)  # it has gone on meanwhile
    saga.advance(moved)
    return f"is cancelled: {refusal.detail}"


def _tell_again(event, order):
    with transaction() as tx:
        saga.publish(tx, event, order, saga.lines_of(tx, order), COUNTING)


def raise_versions(by):
    """Raise the versions of orders that may still change, in pieces.

    So no version is given out again that a customer or Notifications has seen before the restore.
    """
    last = 0
    while last is not None:
        with transaction() as tx:
            last = database.raise_versions(tx, after=last, by=by, most=RAISED_AT_ONCE)
