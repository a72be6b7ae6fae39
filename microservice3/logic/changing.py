"""Moving an order on, or back."""

from chassis import audit
from chassis.database import transaction
from chassis.errors import Forbidden
from chassis.http import NeighbourUnavailable
from microservice3 import database
from microservice3.errors import InvalidTransition
from microservice3.logic import saga
from microservice3.logic.reading import described, find_own

# What an administrator may do by hand: the status wanted, the one it needs.
_BY_HAND = {"shipped": "confirmed", "delivered": "shipped"}


def change_status(caller, order_id, status, expected):
    """Bring an order to a status. Returns it with its lines, `cancelling` if that takes longer.

    expected: a chassis.conditional.Expected. Raises NotFound, PreconditionFailed, Forbidden or
    InvalidTransition.
    """
    with transaction() as tx:
        order = find_own(tx, caller, order_id)
        expected.check(order.version, order.updated_at)
        if order.status == status:
            return described(order, saga.lines_of(tx, order))
    if status == "cancelled":
        return _cancel(caller, order, expected)
    if status not in _BY_HAND:
        raise InvalidTransition(f"Nobody can set an order to {status}")
    if not caller.is_admin:
        raise Forbidden(f"Only an administrator may set an order to {status}")
    return _move_by_hand(order_id, status, expected)


def _move_by_hand(order_id, status, expected):
    with transaction() as tx:
        order = database.lock_order(tx, order_id)
        expected.check(order.version, order.updated_at)
        moved = database.move_order(tx, order_id, [_BY_HAND[status]], status)
        if moved is None:
            return _already(tx, order, status)
        database.insert_change(tx, order_id, _BY_HAND[status], status)
        audit.record(tx, f"order.{status}", saga.subject_of(order))
        lines = saga.lines_of(tx, moved)
        saga.publish(tx, f"order.{status}", moved, lines, saga.CUSTOMER_ONLY)
        return described(moved, lines)


def _cancel(caller, order, expected):
    lease = None
    if order.status != "cancelling":
        order, lease = _begin_to_cancel(caller, order, expected)
    if order.status not in ("cancelling", "cancelled"):
        raise _invalid(order, "cancelled")
    try:
        order, _ = saga.advance(order)
    except NeighbourUnavailable:
        if lease is not None:
            with transaction() as tx:
                saga.hand_over(tx, order, lease)
    with transaction() as tx:
        return described(order, saga.lines_of(tx, order))


def _begin_to_cancel(caller, order, expected):
    """Return the order, cancelling, and the lease; or as it is by now, and None."""
    reason = f"Cancelled by {'the customer' if order.user_id == caller.user_id else 'the shop'}"
    with transaction() as tx:
        order = database.lock_order(tx, order.id)
        expected.check(order.version, order.updated_at)
        return saga.turn_back(tx, order, reason) if saga.way_back(order) else (order, None)


def _already(tx, order, status):
    """Return the order if another request has brought it to that status. Else InvalidTransition."""
    if order.status != status:
        raise _invalid(order, status)
    return described(order, saga.lines_of(tx, order))


def _invalid(order, status):
    return InvalidTransition(f"An order that is {order.status} cannot become {status}")
