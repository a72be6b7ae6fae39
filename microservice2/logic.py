"""Business logic. What the service promises; it knows nothing of HTTP and no SQL."""

from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial

from chassis import audit, inbox, wire
from chassis.database import Duplicate, transaction
from chassis.errors import NotFound
from chassis.image_store import ImageStore, StorageFailed
from chassis.pagination import page_of
from chassis.service import current
from microservice2 import database
from microservice2.errors import (
    OutOfStock,
    ProductNotFound,
    ReferenceTaken,
    SkuTaken,
    TooLate,
)
from microservice2.models import ReservedItem

_REFUSALS = {refusal.code: refusal for refusal in (OutOfStock, ProductNotFound)}


def create_product(*, sku, name, description, category, price, stock):
    """Add a product; what it begins with is its first stock entry. Raises SkuTaken."""
    with transaction() as tx, _sku_is_free():
        product = database.insert_product(
            tx,
            sku=sku,
            name=name,
            description=description,
            category=category,
            price=price,
            stock=stock,
        )
        if stock:
            database.insert_stock_entry(
                tx, product.id, delta=stock, reason="Opening stock", reference=None
            )
        audit.record(tx, "product.created", f"product/{product.id}")
        return product


def list_products(*, paging, sort=None, q=None, **filters):
    """Return a Page of the products that match. q: words, each of which must occur somewhere."""
    filters = {
        "words": [f"%{_literally(word)}%" for word in q.split()] if q else None,
        **dict.fromkeys(("category", "sku", "min_price", "max_price", "in_stock")),
        **filters,
    }
    with transaction() as tx:
        return page_of(
            paging,
            count=partial(database.count_products, tx, **filters),
            rows=partial(database.list_products, tx, sort=sort, **filters),
            key=database.SORTS[sort].key,
        )


def list_products_by_id(product_ids):
    """Return those of the products that exist, by id."""
    with transaction() as tx:
        return database.list_products_by_id(tx, product_ids)


def get_product(product_id):
    with transaction() as tx:
        return _present(database.find_product(tx, product_id))


def edit_product(product_id, expected, **changes):
    """Change what the shop says of a product, and count its version up.

    expected: a chassis.conditional.Expected. Raises NotFound, PreconditionFailed or SkuTaken.
    """
    with transaction() as tx, _sku_is_free():
        product = _present(database.lock_product(tx, product_id))
        expected.check(product.version)
        kept = {
            name: getattr(product, name)
            for name in ("sku", "name", "description", "category", "price")
        }
        audit.record(tx, "product.changed", f"product/{product_id}")
        return database.update_product(tx, product_id, **(kept | changes))


def delete_product(product_id, expected):
    """Remove a product; its sku becomes free. Orders keep what they have written down of it.

    Raises NotFound or PreconditionFailed.
    """
    with transaction() as tx:
        product = _present(database.lock_product(tx, product_id))
        expected.check(product.version)
        database.delete_product(tx, product_id)
        audit.record(tx, "product.deleted", f"product/{product_id}")
    if product.has_image:
        _images().remove(product_id)  # no other product will ever have its number


def put_image(product_id, expected, stream):
    """Give a product its image, or another one. Returns (product, the image's tag).

    expected: a chassis.conditional.ExpectedFile. Raises NotFound, PreconditionFailed, NotAnImage or
    StorageFailed; then the image that was there is there still.
    """
    store = _images()
    with store.receive(stream) as image, transaction() as tx:
        _present(database.lock_product(tx, product_id))
        expected.check(store.tag(product_id))
        product = database.update_image(tx, product_id, has_image=True)
        audit.record(tx, "image.replaced", f"product/{product_id}")
        return product, store.put(product_id, image)


def delete_image(product_id, expected):
    """Remove a product's image. Raises NotFound, PreconditionFailed or StorageFailed."""
    store = _images()
    with transaction() as tx:
        if not _present(database.lock_product(tx, product_id)).has_image:
            raise NotFound
        expected.check(store.tag(product_id))
        database.update_image(tx, product_id, has_image=False)
        audit.record(tx, "image.deleted", f"product/{product_id}")
        store.remove(product_id)


def refuse_image(product_id):
    """Say why there is no image to be had. Raises NotFound."""
    with transaction() as tx:
        _present(database.find_product(tx, product_id))
    raise NotFound("This product has no image")


def remove_left_images():
    """Remove what crashes have left in the folder of images: no product shows it."""
    store = _images()
    store.remove_left_overs()
    numbers = store.numbers()
    with transaction() as tx:
        shown = set(database.list_ids_with_image(tx, numbers))
    for number in set(numbers) - shown:
        with transaction() as tx:
            product = database.lock_product(tx, number)
            if product is None or not product.has_image:
                store.remove(number)


def enter_stock(product_id, *, delta, reason, reference=None):
    """Enter goods that came or went. Raises ReferenceTaken, or OutOfStock below zero."""
    with transaction() as tx:
        product = _present(database.lock_product(tx, product_id))
        if reference is not None and database.count_stock_entries(tx, product_id, reference):
            raise ReferenceTaken
        changed = database.change_stock(tx, product_id, delta)
        if changed is None:
            raise OutOfStock(f"There are {product.stock} left", available=product.stock)
        database.insert_stock_entry(tx, product_id, delta=delta, reason=reason, reference=reference)
        audit.record(tx, "stock.entered", f"product/{product_id}")
        return changed


def list_stock_entries(product_id, *, paging, reference=None):
    with transaction() as tx:
        _present(database.find_product(tx, product_id))
        return page_of(
            paging,
            count=partial(database.count_stock_entries, tx, product_id, reference),
            rows=partial(database.list_stock_entries, tx, product_id, reference),
        )


def list_categories():
    with transaction() as tx:
        return database.list_categories(tx)


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
            held = _sums(map(asdict, database.list_reserved_items(tx, order_id)))
            database.lock_shelves(tx, list(held))
            database.return_stock(tx, held)
            database.update_reservation(tx, order_id, state="released")
        if is_held or is_tombstone:
            audit.record(tx, "stock.released", f"order/{order_id}")
        return _described(tx, order_id)


def get_reservation(order_id):
    with transaction() as tx:
        return _described(tx, order_id)


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
        return _sums(order["items"])
    return {}


def _uncount_sale(tx, order):
    """Return the units that a cancelled order takes from each product, as negative numbers."""
    if database.insert_sale(tx, order["order_id"], "cancelled"):
        return {}  # the confirmation comes later, or never: it will not count
    if database.cancel_sale(tx, order["order_id"]):
        return {product_id: -units for product_id, units in _sums(order["items"]).items()}
    return {}


_HANDLERS = {"order.confirmed": _count_sale, "order.cancelled": _uncount_sale}


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
    database.take_stock(tx, _sums(items))
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
    wanted = _sums(items)
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
    reservation = _present(database.find_reservation(tx, order_id))
    return asdict(reservation) | {"items": database.list_reserved_items(tx, order_id)}


def _refusal(recorded):
    return _REFUSALS[recorded["code"]](lines=recorded["lines"])


def _sums(items):
    """The quantities of all lines, added up by product."""
    sums = Counter()
    for item in items:
        sums[item["product_id"]] += item["quantity"]
    return sums


def _images():
    folder = current().settings.images_dir
    if folder is None:
        raise StorageFailed("IMAGES_DIR is not set")
    return ImageStore(folder)


def _present(found):
    if found is None:
        raise NotFound
    return found


@contextmanager
def _sku_is_free():
    """Turn the database's word for a sku that is taken into ours."""
    try:
        yield
    except Duplicate:
        raise SkuTaken from None


def _literally(word):
    """A word with what LIKE would take for a wildcard escaped."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
