"""Stock that comes and goes, each time with an entry that says why."""

from functools import partial

from chassis import audit
from chassis.database import transaction
from chassis.errors import present
from chassis.pagination import page_of
from microservice2 import database
from microservice2.errors import OutOfStock, ReferenceTaken


def enter_stock(product_id, *, delta, reason, reference=None):
    """Enter goods that came or went. Raises ReferenceTaken, or OutOfStock below zero."""
    with transaction() as tx:
        product = present(database.lock_product(tx, product_id))
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
        present(database.find_product(tx, product_id))
        return page_of(
            paging,
            count=partial(database.count_stock_entries, tx, product_id, reference),
            rows=partial(database.list_stock_entries, tx, product_id, reference),
        )
