"""What a first customer does, through Nginx: register, find a product, order it, read the e-mail.

Usage: smoke_test.py BASE_URL MAIL_FOLDER    with an administrator's token on standard input

Without a folder ("") e-mails go to a mail server, and are not looked for.
"""

import json
import secrets
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

SKU = "WELCOME-LAMP"
MAIL_SECONDS = 15


class Shop:
    """The public API, as a client sees it."""

    def __init__(self, base_url):
        self.base_url = base_url

    def call(self, method, path, body=None, token=None):
        """Return the answer's JSON; a refusal ends the test and says what was refused."""
        try:
            return self.tried(method, path, body, token)
        except urllib.error.HTTPError as error:
            sys.exit(
                f"Smoke test: {method} {path} was answered {error.code}: {error.read().decode()}"
            )

    def tried(self, method, path, body=None, token=None):
        """Return the answer's JSON. Raises urllib.error.HTTPError."""
        request = urllib.request.Request(self.base_url + path, method=method)
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=10) as answer:
            return json.load(answer)


def register(shop, admin):
    """Register as anybody may, or, where registration is closed, as the administrator does it."""
    name = f"visitor-{secrets.token_hex(4)}"
    user = {"username": name, "email": f"{name}@example.com", "password": secrets.token_urlsafe(12)}
    try:
        shop.tried("POST", "/api/service1/users", user)
    except urllib.error.HTTPError:
        shop.call("POST", "/api/service1/users", user, admin)
    login = {"username": name, "password": user["password"]}
    return user, shop.call("POST", "/api/service1/tokens", login)["access_token"]


def a_product_in_stock(shop, admin):
    for product in shop.call("GET", f"/api/service2/products?sku={SKU}"):
        if product["stock"] == 0:
            more = {"delta": 100, "reason": "sold out"}
            return shop.call("POST", f"/api/service2/products/{product['id']}/stock", more, admin)
        return product
    lamp = {"sku": SKU, "name": "Lamp", "category": "Welcome", "price": 29.90, "stock": 100}
    return shop.call("POST", "/api/service2/products", lamp, admin)


def order(shop, product, token):
    lines = {"items": [{"product_id": product["id"], "quantity": 1}]}
    placed = shop.call("POST", "/api/service3/orders", lines, token)
    deadline = time.monotonic() + MAIL_SECONDS
    while placed["status"] == "pending" and time.monotonic() < deadline:
        time.sleep(0.1)
        placed = shop.call("GET", f"/api/service3/orders/{placed['id']}", token=token)
    if placed["status"] != "confirmed":
        sys.exit(f"Smoke test: order {placed['id']} is {placed['status']}, not confirmed.")
    return placed


def await_mail(folder, recipient, order_id):
    deadline = time.monotonic() + MAIL_SECONDS
    while time.monotonic() < deadline:
        for mail in folder.glob("*-order.confirmed.eml"):
            text = mail.read_text(errors="replace")
            if recipient in text and str(order_id) in text:
                return mail
        time.sleep(0.1)
    sys.exit(f"Smoke test: no e-mail about order {order_id} to {recipient} in {folder}.")


def main(base_url, mail_folder):
    shop = Shop(base_url)
    admin = sys.stdin.read().strip()

    print("\nA first order, through Nginx:")
    user, token = register(shop, admin)
    print(f"  registered    {user['username']}")
    product = a_product_in_stock(shop, admin)
    print(f"  product       {product['name']}, {product['price']:.2f} {product['currency']}")
    placed = order(shop, product, token)
    print(f"  ordered       order {placed['id']}, {placed['total']:.2f} {placed['currency']}")
    if mail_folder:
        print(f"  e-mail        {await_mail(Path(mail_folder), user['email'], placed['id'])}")


if __name__ == "__main__":
    main(*sys.argv[1:])
