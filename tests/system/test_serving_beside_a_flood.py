"""A flood of what anybody may ask leaves the rest of the shop at work: a whole stack of its own."""

import json
import multiprocessing
import os
import statistics
import subprocess
import time
import uuid
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from benchmarks.flood import Flood

SEARCH = "/api/service2/products?q=er+on+an+re+st+te+in+at"
PASSWORD = "correct horse battery"
FILL = """
INSERT INTO products (sku, name, description, category, price, stock)
SELECT 'FLOOD-' || n, 'Eastern lantern',
       repeat('A strong iron stand, entertaining attention in the interior. ', 4), 'Flood', 10, 10
  FROM generate_series(1, 20000) AS n
"""


@pytest.fixture
def many_products(stack):
    in_products(stack, FILL)
    yield
    in_products(stack, "DELETE FROM products WHERE category = 'Flood'")


def in_products(stack, sql):
    password = (stack.var / "secrets" / "postgres").read_text().strip()
    command = ["psql", "-qX", "-h", (stack.var / "run").resolve(), "-U", "quartet"]
    subprocess.run(
        [*command, "-d", "microservice2", "-c", sql],
        check=True,
        env={**os.environ, "PGPASSWORD": password},
    )


@contextmanager
def flood(stack, request, connections):
    """Ask in a closed loop, by a process of its own. Yields a Queue for {outcome: how often}."""
    outcomes, ended = multiprocessing.Queue(), multiprocessing.Event()
    port = urlsplit(stack.url).port
    process = multiprocessing.Process(
        target=_flood, args=(port, request, connections, outcomes, ended)
    )
    process.start()
    time.sleep(1)
    yield outcomes
    ended.set()
    process.join()


def _flood(port, request, connections, outcomes, ended):
    found = {}
    while not ended.is_set():
        for outcome, count in Flood(port, request, connections=connections).run(1).outcomes.items():
            found[outcome] = found.get(outcome, 0) + count
    outcomes.put(found)


def message(method, path, body=""):
    return (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def test_orders_are_confirmed_beside_a_hundred_that_search(stack, admin_token, many_products):
    product = {"sku": uuid.uuid4().hex, "name": "Lamp", "category": "Lighting", "price": 60}
    made = stack.call(
        "POST", "/api/service2/products", token=admin_token, json={**product, "stock": 1000}
    )
    body = {"items": [{"product_id": made.json()["id"], "quantity": 1}]}

    with flood(stack, message("GET", SEARCH), connections=100) as searches:
        placed = [
            stack.call("POST", "/api/service3/orders", token=admin_token, json=body).status_code
            for _ in range(20)
        ]
        assert stack.call("GET", "/api/service2/health/ready").status_code == 200

    assert placed.count(201) >= 19
    assert searches.get().keys() <= {200, 503}


def test_users_are_shown_beside_many_that_sign_in(stack, admin_token):
    name = f"f-{uuid.uuid4().hex[:12]}"
    user = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    made = stack.call("POST", "/api/service1/users", json=user).json()
    login = message(
        "POST", "/api/service1/tokens", json.dumps({"username": name, "password": PASSWORD})
    )

    def median_seconds():
        seconds = []
        for _ in range(100):
            began = time.monotonic()
            shown = stack.call("GET", f"/api/service1/users/{made['id']}", token=admin_token)
            seconds.append(time.monotonic() - began)
            assert shown.status_code == 200
        return statistics.median(seconds)

    alone = median_seconds()
    with flood(stack, login, connections=16) as logins:
        beside = median_seconds()
        assert stack.call("GET", "/api/service1/health/live").status_code == 200

    assert beside < 5 * alone
    outcomes = logins.get()
    assert outcomes.keys() <= {200, 429, 503}
    assert outcomes[200]
