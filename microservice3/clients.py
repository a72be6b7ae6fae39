"""The neighbours, in this service's words."""

from contextlib import contextmanager

from chassis.http import RemoteProblem, ServiceClient
from microservice3.errors import NotEnoughPoints, OutOfStock, ProductNotFound, TooLate

MOST_PRODUCTS_AT_ONCE = 100

users = ServiceClient("microservice1")
products = ServiceClient("microservice2")

_REFUSALS = {kind.code: kind for kind in (OutOfStock, ProductNotFound, NotEnoughPoints, TooLate)}


def reserve(order_id, items):
    """Ask Products to hold stock for all lines or none. Sending it twice holds it once.

    Returns an entry for each line: {product_id, quantity, sku, name, price}. Raises OutOfStock,
    ProductNotFound or TooLate.
    """
    lines = [{"product_id": item["product_id"], "quantity": item["quantity"]} for item in items]
    with _refusals_as_ours():
        return products.put(f"/internal/reservations/{order_id}", {"items": lines})["items"]


def release(order_id):
    """Tell Products to give back what the order holds, if it holds anything."""
    products.delete(f"/internal/reservations/{order_id}")


def redeem(order_id, user_id, points):
    """Ask Users to take the points. Sending it twice takes them once.

    Raises NotEnoughPoints or TooLate.
    """
    with _refusals_as_ours():
        users.put(f"/internal/redemptions/{order_id}", {"user_id": user_id, "points": points})


def refund(order_id):
    """Tell Users to give back what the order has redeemed, if it has redeemed anything."""
    users.delete(f"/internal/redemptions/{order_id}")


def find_user(user_id):
    """Return the user as Users shows it, or None."""
    try:
        return users.get(f"/users/{user_id}")
    except RemoteProblem as problem:
        if problem.code == "not_found":
            return None
        raise


def list_products(product_ids):
    """Return the products that still exist, as Products shows them."""
    found = []
    for first in range(0, len(product_ids), MOST_PRODUCTS_AT_ONCE):
        ids = ",".join(map(str, product_ids[first : first + MOST_PRODUCTS_AT_ONCE]))
        found += products.get(f"/internal/products?ids={ids}")
    return found


@contextmanager
def _refusals_as_ours():
    """Turn what a participant of the saga refuses into our own word for it."""
    try:
        yield
    except RemoteProblem as problem:
        if refusal := _REFUSALS.get(problem.code):
            raise refusal(**problem.extra) from problem
        raise
