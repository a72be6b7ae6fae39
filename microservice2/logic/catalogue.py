"""Products: what is for sale, and in which words."""

from contextlib import contextmanager
from functools import partial

from chassis import audit
from chassis.database import Duplicate, transaction
from chassis.errors import present
from chassis.pagination import page_of
from chassis.places import Places
from microservice2 import database
from microservice2.errors import SearchesBusy, SkuTaken
from microservice2.logic.images import image_store

SEARCH_SECONDS = 0.2  # of the database's time, for each statement
SEARCHES_AT_ONCE = 1  # in one process

_searches = Places(SEARCHES_AT_ONCE, SearchesBusy)


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


def list_products(*, paging, sort=None, q=(), **filters):
    """Return a Page of the products that match. q: words, each of which must occur somewhere.

    Raises SearchesBusy, and DatabaseUnavailable if a search takes longer than SEARCH_SECONDS.
    """
    filters = {
        "words": [f"%{_literally(word)}%" for word in q] or None,
        **dict.fromkeys(("category", "sku", "min_price", "max_price", "in_stock")),
        **filters,
    }
    with _search() if q else transaction() as tx:
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
        return present(database.find_product(tx, product_id))


def edit_product(product_id, expected, **changes):
    """Change what the shop says of a product, and count its version up.

    expected: a chassis.conditional.Expected. Raises NotFound, PreconditionFailed or SkuTaken.
    """
    with transaction() as tx, _sku_is_free():
        product = present(database.lock_product(tx, product_id))
        expected.check(product.version, product.updated_at)
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
        product = present(database.lock_product(tx, product_id))
        expected.check(product.version, product.updated_at)
        database.delete_product(tx, product_id)
        audit.record(tx, "product.deleted", f"product/{product_id}")
    if product.has_image:
        image_store().remove(product_id)  # no other product will ever have its number


def list_categories():
    with transaction() as tx:
        return database.list_categories(tx)


@contextmanager
def _search():
    """A transaction for a search: anybody may ask for any number of them, and they read all rows.

    Bounded, they leave threads and most of the database's time to other requests.
    """
    with _searches.taken(), transaction() as tx:
        tx.limit_statements(SEARCH_SECONDS)
        yield tx


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
