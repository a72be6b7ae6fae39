"""Looking at orders."""

from dataclasses import fields
from functools import partial

from chassis.database import transaction
from chassis.errors import NotFound
from chassis.http import NeighbourUnavailable, RemoteProblem
from chassis.pagination import Page, page_of
from microservice3 import clients, database
from microservice3.logic import saga
from microservice3.models import STATUS_OF, Order

_HIDDEN = {"state", "shown", "refusal", "requested"}
_SHOWN = tuple(field.name for field in fields(Order) if field.name not in _HIDDEN)


def has_orders():
    """Return whether anything was ever ordered, shown to its customer or not."""
    with transaction() as tx:
        return database.has_orders(tx)


def get_order(caller, order_id, expand=()):
    """Return an order with its lines, and what `expand` asks for from the other services.

    expand: of "user" and "products". What could not be had is named in `unavailable`.
    """
    with transaction() as tx:
        order = find_own(tx, caller, order_id)
        lines = saga.lines_of(tx, order)
    return described(order, lines) | _expanded(order.user_id, lines, expand)


def list_orders(caller, *, paging, user_id=None, status=None, reference=None, **times):
    """Return a Page of orders without their lines, newest first: one's own, or for an admin all."""
    if not caller.is_admin:
        if user_id not in (None, caller.user_id):
            return Page(paging, [])
        user_id = caller.user_id
    filters = {
        "user_id": user_id,
        "states": [state for state, seen in STATUS_OF.items() if seen == status] or None,
        "reference": reference,
        "since": times.get("since"),
        "until": times.get("until"),
    }
    with transaction() as tx:
        return page_of(
            paging,
            count=partial(database.count_orders, tx, **filters),
            rows=partial(database.list_orders, tx, **filters),
            key="placed_at",
        )


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


def described(order, lines):
    """Return an order as it is shown: a dict with its status and its lines as `items`."""
    shown = {name: getattr(order, name) for name in _SHOWN}
    return shown | {"status": order.status, "items": lines}


def _expanded(user_id, lines, expand):
    product_ids = list(dict.fromkeys(line.product_id for line in lines))
    sources = {
        "user": partial(clients.find_user, user_id),
        "products": partial(clients.list_products, product_ids),
    }
    found, unavailable = {}, []
    for name in expand:
        try:
            found[name] = sources[name]()
        except (NeighbourUnavailable, RemoteProblem):
            unavailable.append(name)
    return found | ({"unavailable": unavailable} if unavailable else {})
