"""Units sold of each product, counted from what Orders tells."""

from collections import Counter

from chassis import inbox
from chassis.database import transaction
from microservice2 import database
from microservice2.logic.reserving import quantities


def receive(events):
    """Take in events about orders, each once: they feed the units sold of the products.

    All of them in one transaction, which touches each product once and locks none for long.
    """
    sold = Counter()
    with transaction() as tx:
        for event in inbox.new_among(tx, events):
            sold.update(_HANDLERS[event["type"]](tx, event["data"]))
        if sold:
            database.lock_shelves(tx, list(sold))
            database.add_units_sold(tx, sold)


def _count_sale(tx, order):
    """Return the units that an order adds to each product."""
    if database.insert_sale(tx, order["order_id"], "counted"):
        return quantities(order["items"])
    return {}


def _uncount_sale(tx, order):
    """Return the units that a cancelled order takes from each product, as negative numbers."""
    if database.insert_sale(tx, order["order_id"], "cancelled"):
        return {}  # the confirmation comes later, or never: it will not count
    if database.cancel_sale(tx, order["order_id"]):
        return {product_id: -units for product_id, units in quantities(order["items"]).items()}
    return {}


_HANDLERS = {"order.confirmed": _count_sale, "order.cancelled": _uncount_sale}
