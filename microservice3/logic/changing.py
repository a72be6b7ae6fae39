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
_CAN_BE_CANCELLED = ("pending", "confirmed")


def change_status(caller, order_id, status):
    """Bring an order to a status. Returns it with its lines, `cancelling` if that takes longer.

    Raises NotFound, Forbidden or InvalidTransition.
    """
    with transaction() as tx:
        order = find_own(tx, caller, order_id)
        if order.status == status:
            return described(order, saga.lines_of(tx, order))
    if status == "cancelled":
        return _cancel(caller, order)
    if status not in _BY_HAND:
        raise InvalidTransition(f"Nobody can set an order to {status}")
    if not caller.is_admin:
        raise Forbidden(f"Only an administrator may set an order to {status}")
    return _move_by_hand(order, status)


def _move_by_hand(order, status):
    with transaction() as tx:
        moved = database.move_order(tx, order.id, [_BY_HAND[status]], status)
        if moved is None:
            return _already(tx, order.id, status)
        database.insert_change(tx, order.id, _BY_HAND[status], status)
        audit.record(tx, f"order.{status}", saga.subject_of(order))
        lines = saga.lines_of(tx, moved)
        saga.publish(tx, f"order.{status}", moved, lines, saga.CUSTOMER_ONLY)
        return described(moved, lines)


def _cancel(caller, order):
    lease = None
    if order.state != "releasing":
        order, lease = _begin_to_cancel(caller, order)
    if order.state not in ("releasing", "cancelled"):
        raise _invalid(order, "cancelled")
    try:
        order, _ = saga.advance(order)
    except NeighbourUnavailable:
        if lease is not None:
            with transaction() as tx:
                saga.hand_over(tx, order, lease)
    with transaction() as tx:
        return described(order, saga.lines_of(tx, order))


def _begin_to_cancel(caller, order):
    """Return the order, cancelling, and the lease; or as it is by now, and None."""
    reason = f"Cancelled by {'the customer' if order.user_id == caller.user_id else 'the shop'}"
    with transaction() as tx:
        moved = database.move_order(tx, order.id, _CAN_BE_CANCELLED, "releasing", reason=reason)
        if moved is None:
            return database.find_order(tx, order.id), None
        before = "pending" if moved.total is None else "confirmed"
        database.insert_change(tx, order.id, before, "cancelling", reason)
        database.delete_sale(tx, order.id)
        audit.record(tx, "order.cancelled", saga.subject_of(order))
        return moved, saga.begin(tx, moved)


def _already(tx, order_id, status):
    """Somebody else was first: that is fine if they wanted the same. Raises InvalidTransition."""
    order = database.find_order(tx, order_id)
    if order.status != status:
        raise _invalid(order, status)
    return described(order, saga.lines_of(tx, order))


def _invalid(order, status):
    return InvalidTransition(f"An order that is {order.status} cannot become {status}")
