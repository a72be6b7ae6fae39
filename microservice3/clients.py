"""The neighbours, in this service's words."""

from chassis.http import RemoteProblem, ServiceClient
from microservice3.errors import OutOfStock, ProductNotFound, TooLate

MOST_PRODUCTS_AT_ONCE = 100

users = ServiceClient("microservice1")
products = ServiceClient("microservice2")

_REFUSALS = {kind.code: kind for kind in (OutOfStock, ProductNotFound, TooLate)}


def reserve(order_id, items):
    """Ask Products to hold stock for all lines or none. Sending it twice holds it once.

    Returns an entry for each line: {product_id, quantity, sku, name, price}. Raises OutOfStock,
    ProductNotFound or TooLate.
    """
    lines = [{"product_id": item["product_id"], "quantity": item["quantity"]} for item in items]
    try:
        return products.put(f"/internal/reservations/{order_id}", {"items": lines})["items"]
    except RemoteProblem as problem:
        if refusal := _REFUSALS.get(problem.code):
            raise refusal(**problem.extra) from problem
        raise


def release(order_id):
    """Tell Products to give back what the order holds, if it holds anything."""
    products.delete(f"/internal/reservations/{order_id}")


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
