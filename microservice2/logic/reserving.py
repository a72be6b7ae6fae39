"""Reservations: the stock that an order holds, for all of its lines or for none."""

from collections import Counter
from dataclasses import asdict

from chassis import audit, wire
from chassis.database import transaction
from chassis.errors import present
from microservice2 import database
from microservice2.errors import OutOfStock, ProductNotFound, TooLate
from microservice2.models import ReservedItem

_REFUSALS = {refusal.code: refusal for refusal in (OutOfStock, ProductNotFound)}


def reserve(order_id, items):
    """Hold stock for every line of the order, or for none of them.

    Asked again, it answers as it did the first time: a refusal stays a refusal, and an order that
    was released before it was reserved can no longer be reserved. Raises OutOfStock,
    ProductNotFound or TooLate. items: [{product_id, quantity}]; a product may repeat.
    """
    with transaction() as tx:
        if database.claim_reservation(tx, order_id, "held"):
            reservation = _hold_or_refuse(tx, order_id, items)
        else:
            reservation = _described(tx, order_id)
    if reservation["state"] == "refused":
        raise _refusal(reservation["refusal"])
    if reservation["state"] == "released":
        raise TooLate
    return reservation


def release(order_id):
    """Give back what the order held. One that never reserved is marked: it no longer can."""
    with transaction() as tx:
        is_tombstone = database.claim_reservation(tx, order_id, "released")
        is_held = database.lock_reservation(tx, order_id).state == "held"
        if is_held:
            held = quantities(map(asdict, database.list_reserved_items(tx, order_id)))
            database.lock_shelves(tx, list(held))
            database.return_stock(tx, held)
            database.update_reservation(tx, order_id, state="released")
        if is_held or is_tombstone:
            audit.record(tx, "stock.released", f"order/{order_id}")
        return _described(tx, order_id)


def get_reservation(order_id):
    with transaction() as tx:
        return _described(tx, order_id)


def quantities(items):
    """The quantities of all lines, added up by product."""
    sums = Counter()
    for item in items:
        sums[item["product_id"]] += item["quantity"]
    return sums


def _hold_or_refuse(tx, order_id, items):
    shelves = {
        shelf.id: shelf
        for shelf in database.lock_shelves(tx, [item["product_id"] for item in items])
    }
    refusal = _missing(items, shelves) or _short(items, shelves)
    if refusal:
        database.update_reservation(
            tx, order_id, state="refused", refusal=wire.dumps(refusal).decode()
        )
        return {"state": "refused", "refusal": refusal}
    reserved = [_reserved(item, shelves[item["product_id"]]) for item in items]
    database.take_stock(tx, quantities(items))
    database.insert_reserved_items(tx, order_id, reserved)
    audit.record(tx, "stock.reserved", f"order/{order_id}")
    return {"order_id": order_id, "state": "held", "items": reserved}


def _missing(items, shelves):
    """The refusal of an order for products that do not exist, or None."""
    lines = [
        {"line": line, "product_id": item["product_id"]}
        for line, item in enumerate(items)
        if item["product_id"] not in shelves
    ]
    return {"code": ProductNotFound.code, "lines": lines} if lines else None


def _short(items, shelves):
    """The refusal of an order for more than there is, by the sum for each product, or None."""
    wanted = quantities(items)
    lines = [
        {
            "line": line,
            "product_id": item["product_id"],
            "requested": item["quantity"],
            "available": shelves[item["product_id"]].stock,
        }
        for line, item in enumerate(items)
        if wanted[item["product_id"]] > shelves[item["product_id"]].stock
    ]
    return {"code": OutOfStock.code, "lines": lines} if lines else None


def _reserved(item, shelf):
    return ReservedItem(
        product_id=shelf.id,
        quantity=item["quantity"],
        sku=shelf.sku,
        name=shelf.name,
        price=shelf.price,
    )


def _described(tx, order_id):
    reservation = present(database.find_reservation(tx, order_id))
    return asdict(reservation) | {"items": database.list_reserved_items(tx, order_id)}


def _refusal(recorded):
    return _REFUSALS[recorded["code"]](lines=recorded["lines"])
