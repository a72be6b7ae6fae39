"""The architecture in short: each service works alone, together they agree, one changes at a time.

Everything here is real: Nginx, uWSGI, PostgreSQL, the workers, and e-mails in a folder.
"""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

SERVICES = ("microservice1", "microservice2", "microservice3", "microservice4")
READY = "/api/service{}/health/ready"


@pytest.fixture
def a_customer(stack):
    """Returns a function that registers somebody and returns their id and token."""

    def register():
        name = f"c-{uuid.uuid4().hex[:12]}"
        body = {"username": name, "email": f"{name}@example.com", "password": "correct horse"}
        user = stack.call("POST", "/api/service1/users", json=body).json()
        login = {"username": name, "password": "correct horse"}
        token = stack.call("POST", "/api/service1/tokens", json=login).json()["access_token"]
        return user["id"], token

    return register


@pytest.fixture
def a_product(stack, admin_token):
    """Returns a function that adds a product and returns its id."""

    def add(stock=10, price=60):
        body = {"sku": uuid.uuid4().hex, "name": "Desk lamp", "category": "Lighting"}
        body |= {"price": price, "stock": stock}
        return stack.call("POST", "/api/service2/products", token=admin_token, json=body).json()[
            "id"
        ]

    return add


def place(stack, token, product_id, quantity=1):
    body = {"items": [{"product_id": product_id, "quantity": quantity}]}
    return stack.call("POST", "/api/service3/orders", token=token, json=body)


def me(stack, token):
    return stack.call("GET", "/api/service1/users/me", token=token).json()


def eventually(found, seconds=20):
    """Ask again until the answer is true, and return it."""
    end = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)
    return answer


@contextmanager
def stopped(stack, *services):
    """These services are stopped for a while; afterwards all is as it was."""
    for service in services:
        stack.script("down", service)
    try:
        yield
    finally:
        stack.script("up")


def test_together_they_take_an_order_from_the_shelf_to_the_e_mail(
    stack, admin_token, a_customer, a_product
):
    _, token = a_customer()
    product = a_product(stock=5, price=60)

    order = place(stack, token, product, 2).json()

    assert (order["status"], order["total"]) == ("confirmed", 120)
    eventually(lambda: me(stack, token)["points"] == 120)
    assert me(stack, token)["status"] == "Gold"
    shown = stack.call("GET", f"/api/service2/products/{product}").json()
    assert shown["stock"] == 3
    sent = f"/api/service4/notifications?status=sent&order_id={order['id']}"
    [mail] = eventually(lambda: stack.call("GET", sent, token=token).json())
    assert mail["event_type"] == "order.confirmed"
    [file] = stack.var.glob(f"mail/{mail['id']}-*.eml")
    assert "Desk lamp" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("alone", SERVICES)
def test_each_service_works_alone_with_the_others_stopped(stack, admin_token, alone):
    others = [service for service in SERVICES if service != alone]
    path = {
        "microservice1": "/api/service1/users",
        "microservice2": "/api/service2/products",
        "microservice3": "/api/service3/orders",
        "microservice4": "/api/service4/notifications",
    }[alone]

    with stopped(stack, *others):
        assert stack.call("GET", READY.format(alone[-1])).status_code == 200
        assert stack.call("GET", path, token=admin_token).status_code == 200
        for other in others:
            answer = stack.call("GET", READY.format(other[-1]))
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert answer.headers["Retry-After"]


def test_an_order_placed_while_products_is_down_ends_by_itself(stack, a_customer, a_product):
    _, token = a_customer()
    product = a_product(stock=5)

    with stopped(stack, "microservice2"):
        answer = place(stack, token, product)
        assert (answer.status_code, answer.json()["status"]) == (202, "pending")

    order = answer.headers["Location"]
    eventually(lambda: stack.call("GET", order, token=token).json()["status"] == "confirmed")


def test_the_last_units_are_sold_once_however_many_ask(stack, a_customer, a_product):
    _, token = a_customer()
    product = a_product(stock=7)

    with ThreadPoolExecutor(8) as buyers:
        statuses = list(buyers.map(lambda _: place(stack, token, product).status_code, range(24)))

    assert sorted(statuses) == [201] * 7 + [409] * 17
    assert stack.call("GET", f"/api/service2/products/{product}").json()["stock"] == 0


def test_a_cancellation_returns_stock_and_points(stack, a_customer, a_product):
    _, token = a_customer()
    product = a_product(stock=5, price=60)
    order = place(stack, token, product, 2).json()

    eventually(lambda: me(stack, token)["points"] == 120)

    answer = stack.call(
        "PATCH", f"/api/service3/orders/{order['id']}", token=token, json={"status": "cancelled"}
    )

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert stack.call("GET", f"/api/service2/products/{product}").json()["stock"] == 5
    eventually(lambda: me(stack, token)["points"] == 0)


def test_one_service_is_restarted_and_scaled_while_the_others_go_on(stack, admin_token, a_product):
    product = a_product()
    failures, asked, stop = [], [], threading.Event()

    def keep_asking():
        while not stop.is_set():
            for path in (f"/api/service2/products/{product}", "/api/service3/orders"):
                answer = stack.call("GET", path, token=admin_token)
                asked.append(path)
                if answer.status_code != 200:
                    failures.append((path, answer.status_code))

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        stack.script("restart", "microservice1", PROCESSES="3", THREADS="2")
        eventually(lambda: stack.call("GET", READY.format(1)).status_code == 200)
    finally:
        stop.set()
        asking.join()
        stack.script("restart", "microservice1", PROCESSES="", THREADS="")

    assert failures == []
    assert len(asked) > 20
