"""Looking at orders."""

from dataclasses import asdict
from functools import partial

from chassis.database import transaction
from chassis.errors import NotFound
from chassis.http import NeighbourUnavailable
from chassis.pagination import Page, page_of
from microservice3 import clients, database
from microservice3.logic import saga
from microservice3.models import STATE_OF


def get_order(caller, order_id, expand=()):
    """Return an order with its lines, and what `expand` asks for from the other services.

    expand: of "user" and "products". What could not be had is named in `unavailable`.
    """
    with transaction() as tx:
        order = described(tx, find_own(tx, caller, order_id))
    return order | _expanded(order, expand)


def list_orders(caller, *, page, limit, user_id=None, status=None, reference=None, **times):
    """Return a Page of orders without their lines, newest first: one's own, or for an admin all."""
    if not caller.is_admin:
        if user_id not in (None, caller.user_id):
            return Page([], 0)
        user_id = caller.user_id
    filters = {
        "user_id": user_id,
        "state": STATE_OF.get(status),
        "reference": reference,
        "since": times.get("since"),
        "until": times.get("until"),
    }
    with transaction() as tx:
        total = database.count_orders(tx, **filters)
        rows = partial(database.list_orders, tx, **filters)
        return page_of(total, rows, page=page, limit=limit)


def get_history(caller, order_id):
    """Return every change of an order's status, in the order of time."""
    with transaction() as tx:
        find_own(tx, caller, order_id)
        return database.list_changes(tx, order_id)


def find_own(tx, caller, order_id):
    """Return the order if the caller may see it. Raises NotFound."""
    order = database.find_order(tx, order_id)
    if order is None or not order.shown:
        raise NotFound
    if not caller.is_admin and order.user_id != caller.user_id:
        raise NotFound
    return order


def described(tx, order):
    """Return an order as it is shown: a dict with its status and `items`."""
    return asdict(order) | {"status": order.status, "items": saga.lines_of(tx, order)}


def _expanded(order, expand):
    product_ids = list(dict.fromkeys(item.product_id for item in order["items"]))
    sources = {
        "user": partial(clients.find_user, order["user_id"]),
        "products": partial(clients.list_products, product_ids),
    }
    found, unavailable = {}, []
    for name in expand:
        try:
            found[name] = sources[name]()
        except NeighbourUnavailable:
            unavailable.append(name)
    return found | ({"unavailable": unavailable} if unavailable else {})
