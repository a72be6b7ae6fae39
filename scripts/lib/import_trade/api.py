"""The public API in the importer's words: one function, one question or one wish.

A wish that finds itself fulfilled already is a success; each function says how it can tell.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from import_trade.planning import CATEGORY, PlannedOrder, PlannedProduct, PlannedReturn, PlannedUser
from import_trade.seen import SeenOrder, SoldOnDay, StockEntry, seen_order, seen_report
from import_trade.transport import Answer, Failed, Transport

USERS = "/api/service1/users"
PRODUCTS = "/api/service2/products"
ORDERS = "/api/service3/orders"
SALES = "/api/service3/reports/sales"
PAGE = 100


class Refusal(Exception):
    """A service said no, definitely."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a wish: the id it is about, and whether it certainly was not true before.

    After an unknown answer the repeat finds the thing there; nobody can tell since when.
    """

    id: int
    is_new: bool


def ensure_user(http: Transport, user: PlannedUser) -> Outcome:
    """Register the customer, or find the account that is theirs already.

    An account of that name with another address is somebody else's: orders placed for it would
    write to that address, so it is refused.
    """
    answer = http.post(USERS, {"username": user.username, "email": user.email})
    if answer.status == 201:
        return Outcome(answer.body["id"], is_new=True)
    if answer.code not in ("username_taken", "email_taken"):
        raise Refusal(f"user {user.username}: {answer.describe()}")

    for found in listed(http.get(USERS, username=user.username), USERS):
        if found["email"].lower() == user.email.lower():
            return Outcome(found["id"], is_new=False)
    raise Refusal(f"user {user.username}: the user name or {user.email} belongs to another account")


def ensure_product(http: Transport, product: PlannedProduct) -> Outcome:
    """Create the product without stock, or find the one that has the sku, wherever it is from."""
    answer = http.post(
        PRODUCTS,
        {
            "sku": product.sku,
            "name": product.name,
            "category": CATEGORY,
            "price": product.price,
            "stock": 0,
        },
    )
    if answer.status == 201:
        return Outcome(answer.body["id"], is_new=True)
    if answer.code != "sku_taken":
        raise Refusal(f"product {product.sku}: {answer.describe()}")

    for found in listed(http.get(PRODUCTS, sku=product.sku), PRODUCTS):
        if found["sku"] == product.sku:
            return Outcome(found["id"], is_new=False)
    raise Refusal(f"product {product.sku}: the sku is taken, but no product shows it")


def enter_opening(http: Transport, product_id: int, product: PlannedProduct, ref: str) -> Outcome:
    """Enter the opening stock once. An entry of that reference with other units comes from
    another file of the same name, and is refused."""
    reason = "opening stock of an imported trade"
    answer = add_stock(http, product_id, product.opening, reason, ref)
    if answer.ok:
        return Outcome(product_id, is_new=True)
    if answer.code != "reference_taken":
        raise Refusal(f"product {product.sku}: {answer.describe()}")

    entries = list(stock_entries(http, product_id, reference=ref))
    if [entry.delta for entry in entries] != [product.opening]:
        held = ", ".join(f"{entry.delta:+,}" for entry in entries) or "nothing"
        raise Refusal(
            f"product {product.sku}: {ref} holds {held} where the file makes "
            f"{product.opening:+,}; was another file of this name imported before?"
        )
    return Outcome(product_id, is_new=False)


def book_return(http: Transport, product_id: int, returned: PlannedReturn) -> Outcome:
    """Put the returned units back on the shelf, once."""
    reason = f"return on {returned.invoice}"
    answer = add_stock(http, product_id, returned.units, reason, returned.reference)
    if answer.ok:
        return Outcome(product_id, is_new=True)
    if answer.code == "reference_taken":
        return Outcome(product_id, is_new=False)
    raise Refusal(f"return {returned.reference}: {answer.describe()}")


def add_stock(http: Transport, product_id: int, units: int, reason: str, reference: str) -> Answer:
    return http.post(
        f"{PRODUCTS}/{product_id}/stock",
        {"delta": units, "reason": reason, "reference": reference},
    )


def place_order(
    http: Transport, order: PlannedOrder, user_id: int, product_ids: dict[str, int]
) -> Outcome:
    """Place the order, or find it placed. 202 counts: the service will end it by itself."""
    items = [
        {"product_id": product_ids[line.sku], "quantity": line.quantity, "unit_price": line.price}
        for line in order.lines
    ]
    answer = http.post(
        ORDERS,
        {
            "user_id": user_id,
            "reference": order.invoice,
            "placed_at": order.placed_at.isoformat(),
            "items": items,
        },
    )
    if answer.ok:
        return Outcome(answer.body["id"], is_new=True)
    if answer.code == "reference_taken" and answer.body.get("order_id"):
        return Outcome(answer.body["order_id"], is_new=False)
    raise Refusal(f"invoice {order.invoice}: {answer.describe()}")


def get_order(http: Transport, order_id: int) -> SeenOrder | None:
    """Return the order, or None if nobody has it."""
    answer = http.get(f"{ORDERS}/{order_id}")
    if answer.code == "not_found":
        return None
    return understood(seen_order, expect(answer, ORDERS), ORDERS)


def list_orders_of_day(http: Transport, day: date, next_day: date) -> Iterator[dict]:
    """Yield the entries of all orders placed on a day, everybody's, without their lines."""
    yield from pages(http, ORDERS, {"from": day.isoformat(), "to": next_day.isoformat()})


def stock_entries(http: Transport, product_id: int, **params) -> Iterator[StockEntry]:
    path = f"{PRODUCTS}/{product_id}/stock"
    for entry in pages(http, path, params):
        yield StockEntry(entry["reference"], entry["delta"])


def sales_by_day(http: Transport, first: date, end: date, prefix: str) -> dict[date, SoldOnDay]:
    """Return the sales report of the references with a prefix, `end` not included."""
    params = {"from": first.isoformat(), "to": end.isoformat()}
    if prefix:
        params["reference_prefix"] = prefix
    report = listed(http.get(SALES, **params), SALES)
    return understood(seen_report, report, SALES)


def pages(http: Transport, path: str, params: dict) -> Iterator[dict]:
    page = 1
    while True:
        entries = listed(http.get(path, **params, page=page, limit=PAGE), path)
        yield from entries
        if len(entries) < PAGE:
            return
        page += 1


def listed(answer: Answer, path: str) -> list[dict]:
    body = expect(answer, path)
    if not isinstance(body, list):
        raise Failed(f"GET {path} answered with no list")
    return body


def expect(answer: Answer, path: str) -> Any:
    if answer.status != 200:
        raise Failed(f"GET {path}: {answer.describe()}")
    return answer.body


def understood(read, body, path: str):
    try:
        return read(body)
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise Failed(f"GET {path} answered in another shape than agreed: {error!r}") from error
