"""An order through Nginx and all four services, which is taken back.

Usage: try_order.py BASE_URL FILE    with an administrator's token on standard input

The customer and the product are deleted and the order is cancelled, also when the test fails. The
number of the customer is written to FILE: the commands `erase-test-order` of Orders and
`erase-test-notifications` of Notifications delete the rest. Both know the reference and the address
below.
"""

import secrets
import signal
import sys
import time
from pathlib import Path

from shop import Shop, await_confirmed, place, register

REFERENCE = "smoke-test"
ADDRESS = "{}@quartet.invalid"
"""No mail reaches it: Notifications composes the e-mail, and suppresses it."""
NOTIFIED_SECONDS = 15
CANCELLED_SECONDS = 15


def make_product(shop, admin, name):
    product = {"sku": name, "name": "Smoke test", "category": "Smoke test", "price": 1, "stock": 1}
    return shop.call("POST", "/api/service2/products", product, admin)


def await_notification(shop, token, order_id):
    """Return the status of the notification about the order, once it has been dealt with."""
    path = f"/api/service4/notifications?order_id={order_id}"
    deadline = time.monotonic() + NOTIFIED_SECONDS
    while time.monotonic() < deadline:
        for one in shop.call("GET", path, token=token):
            if one["event_type"] == "order.confirmed" and one["status"] != "queued":
                return one["status"]
        time.sleep(0.1)
    sys.exit(f"Smoke test: no notification about order {order_id}.")


def take_back(shop, admin, made):
    """Cancel and delete what was made, {path: what it is}. Returns what could not be taken back.

    No signal interrupts it.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    left = []
    for path, what in made.items():
        try:
            if "/orders/" in path:
                cancel(shop, admin, path)
            else:
                shop.tried("DELETE", path, token=admin)
        except OSError as error:  # urllib's errors are some
            left.append(f"{what}: {error}")
    return left


def cancel(shop, admin, path):
    order = shop.tried("PATCH", path, {"status": "cancelled"}, admin)
    deadline = time.monotonic() + CANCELLED_SECONDS
    while order["status"] != "cancelled":
        if time.monotonic() > deadline:
            raise TimeoutError(f"it is {order['status']}")
        time.sleep(0.1)
        order = shop.tried("GET", path, token=admin)


def main(base_url, file):
    shop = Shop(base_url)
    admin = sys.stdin.read().strip()
    name = f"smoke-test-{secrets.token_hex(4)}"
    made = {}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Smoke test: interrupted."))

    print("\nAn order through all four services, to be taken back:")
    try:
        user, token = register(shop, admin, name, ADDRESS.format(name))
        Path(file).write_text(f"{user['id']}\n")
        made[f"/api/service1/users/{user['id']}"] = f"customer {name}"
        print(f"  registered    {name}")
        product = make_product(shop, admin, name)
        made[f"/api/service2/products/{product['id']}"] = f"product {name}"
        placed = place(shop, product, token, reference=REFERENCE)
        made = {f"/api/service3/orders/{placed['id']}": f"order {placed['id']}"} | made
        placed = await_confirmed(shop, placed, token)
        print(f"  ordered       order {placed['id']}, {placed['total']:.2f} {placed['currency']}")
        print(f"  notification  {await_notification(shop, token, placed['id'])}")
    finally:
        left = take_back(shop, admin, made)
        for one in left:
            print(f"Smoke test: could not take back {one}", file=sys.stderr)
    if left:
        sys.exit(1)
    print("  taken back    order, product and customer")


if __name__ == "__main__":
    main(*sys.argv[1:])
