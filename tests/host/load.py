"""A steady stream of requests through Nginx, from inside a machine: so many a second.

Usage: load.py RATE [ORDERS]    with an administrator's token as the first line of standard input;
when that is closed, it ends and prints what it saw as JSON

RATE is of reads, in turn from the four services; ORDERS, as many a second, are placed beside them.
Each request has a connection of its own and starts when its time has come, whether or not the one
before is answered: a service that is away for a second is asked all the same.
"""

import http.client
import itertools
import json
import sys
import threading
import time
import uuid

PATHS = (
    "/api/service1/users/me",
    "/api/service2/products",
    "/api/service3/orders",
    "/api/service4/notifications",
)
PRODUCT = {"name": "Lamp", "category": "Load", "price": 29.90, "stock": 1_000_000}
THREADS = 64
ANSWER_SECONDS = 10


def read(number, token):
    path = PATHS[number % len(PATHS)]
    status, told = call("GET", path, token)
    return path, status, status == 200, told


def orders_of(product_id):
    """Returns the function that places one. It may be answered by a promise, 202."""

    def order(_number, token):
        body = {"items": [{"product_id": product_id, "quantity": 1}]}
        key = {"Idempotency-Key": str(uuid.uuid4())}
        status, told = call("POST", "/api/service3/orders", token, body, key)
        return "an order", status, status in (201, 202), told

    return order


def call(method, path, token, body=None, headers=()):
    """Return (status or what went wrong, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", timeout=ANSWER_SECONDS)
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        **dict(headers),
    }
    try:
        connection.request(method, path, body and json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}", b""
    finally:
        connection.close()


class Load:
    """Asks so many times a second.

    ask: a function of a running number and the token that returns what was asked, the outcome,
    whether that is well, and what was told. seen: (start, seconds, ...) and these, of each.
    """

    def __init__(self, rate, ask, token):
        self._ask = ask
        self._token = token
        self._pause = 1 / rate
        self._numbers = itertools.count()
        self._began = time.monotonic()
        self.seen = []
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._call_in_turn) for _ in range(THREADS)]

    def start(self):
        for thread in self._threads:
            thread.start()

    def stop(self):
        """Wait for the answers that are still to come."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _call_in_turn(self):
        while not self._stopped.is_set():
            number = next(self._numbers)
            due = self._began + number * self._pause
            if self._stopped.wait(max(0, due - time.monotonic())):
                return
            answer = self._ask(number, self._token)
            self.seen.append((due, time.monotonic() - due, *answer))


def summary(seen):
    slow = sorted(seconds for _, seconds, *_ in seen)
    began = min(due for due, *_ in seen)
    failed = [
        (what, outcome, f"at {due - began:.1f} s, after {seconds:.3f} s: {told.decode()[:300]}")
        for due, seconds, what, outcome, is_well, told in seen
        if not is_well
    ]
    failed_at = [due for due, *_, is_well, _ in seen if not is_well]
    return {
        "requests": len(seen),
        "failed": len(failed),
        "failures": failed[:20],
        "failing_seconds": max(failed_at) - min(failed_at) if failed else 0,
        "p50": slow[len(slow) // 2],
        "p99": slow[int(len(slow) * 0.99)],
        "longest": slow[-1],
    }


def main():
    rate, orders = float(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0
    token = sys.stdin.readline().strip()
    loads = [Load(rate, read, token)]
    if orders:
        product = {**PRODUCT, "sku": f"LOAD-{uuid.uuid4()}"}
        made = json.loads(call("POST", "/api/service2/products", token, product)[1])
        loads.append(Load(orders, orders_of(made["id"]), token))
    for load in loads:
        load.start()
    sys.stdin.read()
    for load in loads:
        load.stop()
    print(json.dumps(summary([one for load in loads for one in load.seen])))


if __name__ == "__main__":
    main()
