"""The public API, as the smoke tests use it. Each function ends the program when it is refused."""

import json
import secrets
import sys
import time
import urllib.error
import urllib.request

CONFIRMED_SECONDS = 15


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
        """Return the answer's JSON, None without one. Raises urllib.error.HTTPError."""
        request = urllib.request.Request(self.base_url + path, method=method)
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=10) as answer:
            return json.loads(answer.read() or "null")


def register(shop, admin, name, email):
    """Register as anybody may, or, where registration is closed, as the administrator does it.

    Returns the user and an access token of theirs.
    """
    user = {"username": name, "email": email, "password": secrets.token_urlsafe(12)}
    try:
        registered = shop.tried("POST", "/api/service1/users", user)
    except urllib.error.HTTPError:
        registered = shop.call("POST", "/api/service1/users", user, admin)
    login = {"username": name, "password": user["password"]}
    return registered, shop.call("POST", "/api/service1/tokens", login)["access_token"]


def place(shop, product, token, **more):
    """Order one of the product. Returns the order, which may still be pending."""
    order = {"items": [{"product_id": product["id"], "quantity": 1}]} | more
    return shop.call("POST", "/api/service3/orders", order, token)


def await_confirmed(shop, placed, token):
    """Return the order once it is confirmed."""
    deadline = time.monotonic() + CONFIRMED_SECONDS
    while placed["status"] == "pending" and time.monotonic() < deadline:
        time.sleep(0.1)
        placed = shop.call("GET", f"/api/service3/orders/{placed['id']}", token=token)
    if placed["status"] != "confirmed":
        sys.exit(f"Smoke test: order {placed['id']} is {placed['status']}, not confirmed.")
    return placed
