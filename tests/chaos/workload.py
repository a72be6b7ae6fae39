"""The clients: shoppers who order, watch and cancel, administrators who ship, deliver and restock.

Orders begin at a fixed rate, whatever becomes of those before. What a client does is chosen by the
seed; when, by the answers.
"""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count

from tests.chaos.history import Client

SHOPPERS = 24
PLENTY = 12  # products of which there is enough for every order
SCARCE = 3  # products that sell out
SCARCE_STOCK = 10
BALANCE = 3000  # points that every second shopper has to begin with
MOST_AT_ONCE = 1000  # threads: an order's life takes several seconds, and longer in bad times
RESTOCK_EVERY = 40  # orders
PASSWORD = "correct horse battery staple"


class Shop:
    """A stack with customers and products, and what its API can do. Made before any fault."""

    def __init__(self, stack, history, seed):
        self._stack = stack
        self._admin_token = stack.admin_token()
        self.history = history
        placing, new_order = _documented(stack)
        self.takes_points = "redeem_points" in new_order["properties"]
        self.takes_keys = "idempotency-key" in str(placing).lower()
        self.prefix = f"chaos-{seed}"
        self.plenty = [self._product(f"PLENTY-{n}", 1_000_000, n) for n in range(PLENTY)]
        self.scarce = [self._product(f"SCARCE-{n}", SCARCE_STOCK, n) for n in range(SCARCE)]
        self.shoppers = [self._shopper(n) for n in range(SHOPPERS)]
        password = (stack.var / "secrets/admin.password").read_text().strip()
        self.admin = Client("admin", stack.url, history, "admin", password)

    def _product(self, sku, stock, number):
        product = {"sku": f"{self.prefix}-{sku}", "name": sku, "category": "Chaos", "stock": stock}
        price = {"price": 1.25 * (number + 1)}
        return self._made("POST", "/api/service2/products", product | price)["id"]

    def _shopper(self, number):
        name = f"{self.prefix}-shopper-{number}"
        user = {"username": name, "email": f"{name}@shop.example", "password": PASSWORD}
        made = self._made("POST", "/api/service1/users", user)
        if number % 2:
            gift = {"points": BALANCE, "reason": "to begin with"}
            self._made("POST", f"/api/service1/users/{made['id']}/points", gift)
        return Client(name, self._stack.url, self.history, name, PASSWORD)

    def _made(self, method, path, body):
        answer = self._stack.call(method, path, json=body, token=self._admin_token)
        assert answer.ok, answer.text
        return answer.json()


def _documented(stack):
    """Return what OpenAPI says of POST /orders, and of the order that it takes."""
    document = stack.call("GET", "/api/service3/openapi.json").json()
    placing = document["paths"]["/orders"]["post"]
    schema = placing["requestBody"]["content"]["application/json"]["schema"]
    return placing, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]


class Workload:
    """Places orders at a fixed rate. `placed` counts those begun."""

    def __init__(self, shop, rate, seed):
        self._shop = shop
        self._rate = rate
        self._seed = seed
        self._end = threading.Event()
        self._numbers = count(1)
        self.placed = 0

    def run(self, seconds, started):
        """Begin orders for so long; returns when every call has had its answer or its timeout."""
        with ThreadPoolExecutor(MOST_AT_ONCE) as self._pool, self._ending():
            slot = started
            while slot < started + seconds:
                time.sleep(max(0.0, slot - time.monotonic()))
                number = next(self._numbers)
                self._start(Life, number)
                if number % RESTOCK_EVERY == 0:
                    self._start(Restocking, number)
                self.placed = number
                slot += 1 / self._rate

    @contextmanager
    def _ending(self):
        try:
            yield
        finally:
            self._end.set()

    def _start(self, kind, number):
        chance = random.Random(f"{kind.__name__} {self._seed} {number}")
        self._pool.submit(kind(self._shop, number, chance, self._end).live)


class Restocking:
    """An administrator who has got some more of what is scarce."""

    def __init__(self, shop, number, chance, _end):
        self._shop, self._number, self._chance = shop, number, chance

    def live(self):
        product = self._chance.choice(self._shop.scarce)
        more = {
            "delta": self._chance.randint(2, 8),
            "reason": "more came in",
            "reference": f"{self._shop.prefix}-delivery-{self._number}",
        }
        path = f"/api/service2/products/{product}/stock"
        self._shop.admin.call("restock", "POST", path, {"product": product, **more}, more)


class Life:
    """All that is done about one order."""

    def __init__(self, shop, number, chance, end):
        self._shop, self._number, self._chance, self._end = shop, number, chance, end
        self._shopper = chance.choice(shop.shoppers)

    def live(self):
        order_id = self._place()
        if order_id is None or self._end.is_set():
            return
        then = self._chance.choices(
            [self._watch, self._cancel, self._ship, self._ship_while_cancelled, self._nothing],
            weights=[30, 25, 20, 5, 20],
        )[0]
        then(order_id)

    def _place(self):
        """Order, and ask again after an unknown answer. Returns the order's id, or None."""
        order = self._order()
        key = f"{self._shop.prefix}-{self._number}"
        has_key = self._shop.takes_keys and self._chance.random() < 0.5
        headers = {"Idempotency-Key": key} if has_key else {}
        arguments = {**order, "key": key if has_key else None}
        for _ in range(self._chance.choice([1, 3, 4, 4])):
            outcome, body = self._shopper.call(
                "place", "POST", "/api/service3/orders", arguments, order, headers
            )
            if outcome == "ok":
                return body["id"]
            if outcome == "fail":
                return body.get("order_id")
            if self._end.wait(self._chance.uniform(0.1, 2.0)):
                return None
        return None

    def _order(self):
        products = self._chance.sample(self._shop.plenty, self._chance.choice([1, 1, 2, 3]))
        if self._chance.random() < 0.2:
            products.append(self._chance.choice(self._shop.scarce))
        items = [{"product_id": p, "quantity": self._chance.randint(1, 3)} for p in products]
        order = {"items": items, "reference": f"{self._shop.prefix}-{self._number}"}
        if self._shop.takes_points and self._chance.random() < 0.3:
            order["redeem_points"] = 100
        return order

    def _watch(self, order_id, times=3):
        for _ in range(times):
            if self._end.wait(self._chance.uniform(0.05, 1.5)):
                return
            self._read(order_id)

    def _cancel(self, order_id):
        self._end.wait(self._chance.choice([0, 0, 0.05, 0.5, 2.0]))
        self._change(self._shopper, order_id, "cancelled")
        self._watch(order_id, times=2)

    def _ship(self, order_id):
        for status in ("shipped", "delivered"):
            self._end.wait(self._chance.uniform(0.1, 1.0))
            self._change(self._shop.admin, order_id, status)
            self._read(order_id)

    def _ship_while_cancelled(self, order_id):
        other = threading.Thread(target=self._change, args=(self._shopper, order_id, "cancelled"))
        other.start()
        self._change(self._shop.admin, order_id, "shipped")
        self._read(order_id)
        other.join()
        self._read(order_id)

    def _nothing(self, order_id):
        pass

    def _read(self, order_id):
        path = f"/api/service3/orders/{order_id}"
        self._shopper.call("read", "GET", path, {"order": order_id})

    def _change(self, client, order_id, status):
        path = f"/api/service3/orders/{order_id}"
        change = {"status": status}
        client.call(status, "PATCH", path, {"order": order_id}, change)
