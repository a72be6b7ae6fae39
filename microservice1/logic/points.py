"""Points: a ledger, and the status that follows from it, always in one transaction.

`points` is what was earned in all and decides the status; `points_balance` is what can be spent.
"""

from math import floor

from chassis import audit, inbox
from chassis.database import transaction
from chassis.errors import present
from microservice1 import database
from microservice1.errors import NotEnoughPoints
from microservice1.logic.announcing import announce
from microservice1.logic.rechecking import recheck
from microservice1.logic.status import is_rise, status_for


def adjust(caller, user_id, *, points, reason):
    """Give points, or take them. Raises NotEnoughPoints where taking would lead below zero."""
    with transaction() as tx:
        user = present(database.lock_user(tx, user_id))
        recheck(tx, caller)
        left = min(user.points, user.points_balance)
        if points < 0 and left + points < 0:
            raise NotEnoughPoints(f"There are {left} to take")
        audit.record(tx, "points.adjusted", f"user/{user_id}")
        return enter(tx, user, kind="adjustment", points=points, balance=points, reason=reason)


def promote(caller, user_id, expected):
    """Compute the status anew. Returns the user. Raises TokenExpired or PreconditionFailed."""
    with transaction() as tx:
        user = present(database.lock_user(tx, user_id))
        recheck(tx, caller)
        expected.check(user.version, user.updated_at)
        audit.record(tx, "status.computed", f"user/{user_id}")
        return _settle(tx, user, user.points, user.points_balance)


def promote_called(caller, username, expected):
    with transaction() as tx:
        user = present(database.find_user_called(tx, username))
    return promote(caller, user.id, expected)


def enter(tx, user, *, kind, points, balance, reason, order_id=None):
    """Write an entry and what follows from it, unless the order has one of this kind already.

    user: with their row locked. Returns them as they are then.
    """
    is_new = database.insert_points_entry(
        tx, user.id, kind=kind, order_id=order_id, points=points, balance=balance, reason=reason
    )
    if not is_new:
        return user
    return _settle(tx, user, user.points + points, user.points_balance + balance)


def receive(events):
    """Take in events about orders, each once. Those of users who are gone are let by.

    By user, so that two batches lock users in the same order; each order's own order stays.
    """
    inbox.take_in(sorted(events, key=lambda event: event["data"]["user_id"]), _take_in)


def _take_in(tx, event):
    order = event["data"]
    user = database.lock_user(tx, order["user_id"])
    if user is not None:
        _HANDLERS[event["type"]](tx, user, order)


def _earn(tx, user, order):
    if database.find_order_points(tx, order["order_id"], "reversed") is not None:
        return  # the cancellation came first: there is nothing left to earn
    earned = floor(order["total"])
    enter(
        tx,
        user,
        kind="earned",
        points=earned,
        balance=earned,
        reason="An order was confirmed",
        order_id=order["order_id"],
    )


def _reverse(tx, user, order):
    """Take back what the order has earned; 0 is written too, against an earning that comes late."""
    earned = database.find_order_points(tx, order["order_id"], "earned") or 0
    enter(
        tx,
        user,
        kind="reversed",
        points=-min(earned, user.points),
        balance=-earned,
        reason="An order was cancelled",
        order_id=order["order_id"],
    )


_HANDLERS = {"order.confirmed": _earn, "order.cancelled": _reverse}


def _settle(tx, user, points, balance):
    """Give the user these points and the status that goes with them, and tell of a promotion."""
    status = status_for(points)
    if (points, balance, status) == (user.points, user.points_balance, user.status):
        return user
    changed = database.update_points(
        tx, user.id, points=points, points_balance=balance, status=status
    )
    if is_rise(user.status, status):
        announce(tx, "user.promoted", changed)
    return changed
