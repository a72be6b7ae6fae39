"""Placing an order."""

from chassis import audit, idempotency, rates, service, wire
from chassis.database import Duplicate, transaction
from chassis.errors import Forbidden
from chassis.http import NeighbourUnavailable
from microservice3 import clients, database
from microservice3.errors import ReferenceInProgress, ReferenceTaken, UserNotFound
from microservice3.logic import saga
from microservice3.logic.reading import described


def place(caller, *, items, redeem_points=0, user_id=None, reference=None, placed_at=None):
    """Take an order and try to bring it to its end. Returns it with its lines.

    The order is confirmed; or still pending, when Products has not answered: it ends by itself.
    Raises OutOfStock, ProductNotFound, NotEnoughPoints, RedeemTooMuch, TotalTooLarge,
    UserNotFound, ReferenceTaken or TooManyRequests, and then there is no order. caller: a
    chassis.tokens.Identity.
    """
    _may_say_all_that(caller, items, user_id, placed_at)
    if user_id not in (None, caller.user_id) and clients.find_user(user_id) is None:
        raise UserNotFound
    order, lease = _accept(
        caller,
        user_id=user_id or caller.user_id,
        items=items,
        redeem_points=redeem_points,
        reference=reference,
        placed_at=placed_at,
    )
    try:
        order, lines = saga.advance(order)
    except NeighbourUnavailable:
        order, lines = _leave_to_the_worker(order, lease)
    if not order.shown:
        raise saga.refusal_of(order)
    return described(order, lines)


def outcome(order_id):
    """Return what became of an order that was accepted, as `place` does; its refusal is raised.

    Raises RequestInProgress while nobody was told of the order.
    """
    with transaction() as tx:
        order = database.find_order(tx, order_id)
        if order.shown:
            return described(order, saga.lines_of(tx, order))
    if order.refusal is None:
        raise idempotency.RequestInProgress
    raise saga.refusal_of(order)


def _may_say_all_that(caller, items, user_id, placed_at):
    privileged = user_id is not None or placed_at is not None
    privileged = privileged or any("unit_price" in item for item in items)
    if privileged and not caller.is_admin:
        raise Forbidden("Only an administrator may set user_id, unit_price or placed_at")


def _accept(caller, *, user_id, items, redeem_points, reference, placed_at):
    """Write the order down, with word for the worker, so that nothing can be forgotten."""
    settings = service.current().settings
    try:
        with transaction() as tx:
            rates.count(tx, "orders", caller, settings.orders_per_minute)
            order = database.insert_order(
                tx,
                user_id=user_id,
                requested=wire.dumps(items).decode(),
                redeem_points=redeem_points,
                reference=reference,
                currency=settings.currency,
                placed_at=placed_at,
            )
            idempotency.record(tx, order.id)
            return order, saga.begin(tx, order)
    except Duplicate:
        with transaction() as tx:
            taken_by = database.find_order_id(tx, user_id, reference)
        if taken_by is None:
            raise ReferenceInProgress from None
        raise ReferenceTaken(order_id=taken_by) from None


def _leave_to_the_worker(order, lease):
    """Promise the order to the client, unless it was refused meanwhile."""
    with transaction() as tx:
        shown = database.show_order(tx, order.id)
        if shown is None:
            shown = database.find_order(tx, order.id)
        else:
            audit.record(tx, "order.placed", saga.subject_of(order))
        saga.hand_over(tx, order, lease)
        return shown, saga.lines_of(tx, shown)
