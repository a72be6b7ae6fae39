"""Orders with its real neighbours behind it: their applications, on their own databases."""

from functools import cache
from itertools import count
from types import SimpleNamespace

import pytest

from chassis import testing
from chassis.worker import Worker
from microservice1.app import create_app as create_users
from microservice2.app import create_app as create_products
from microservice3.app import create_app
from microservice3.worker import LANES
from microservice4.app import create_app as create_notifications
from tests.administrators import ADMINISTRATOR, register_administrator

# Putting an application together takes longer than most tests.
users_app, products_app = cache(create_users), cache(create_products)
orders_app, notifications_app = cache(create_app), cache(create_notifications)


@pytest.fixture
def network(fresh_service):
    """The neighbours, and the network between: it can be cut, and it remembers who was called."""
    return testing.Network(
        microservice1=users_app(fresh_service("microservice1")),
        microservice2=products_app(fresh_service("microservice2")),
        microservice4=notifications_app(fresh_service("microservice4")),
    )


@pytest.fixture
def service(fresh_service, network):
    service = fresh_service("microservice3")
    service.http_adapter = network
    return service


@pytest.fixture
def app(service):
    return orders_app(service)


@pytest.fixture
def work(service):
    """Returns a function that lets the worker do all that is due, and counts it."""
    return lambda: testing.deliver_all(Worker(service, LANES))


@pytest.fixture
def shop(network, keys):
    """Products, as its administrator."""
    return testing.Client(network.apps["microservice2"], testing.user_token(keys, 1, "admin"))


@pytest.fixture
def a_product(shop):
    """Returns a function that adds a product; what is not said is made up."""
    numbers = count(1)

    def add(**fields):
        body = {
            "sku": f"SKU-{next(numbers)}",
            "name": "Desk lamp",
            "category": "Lighting",
            "price": 29.90,
            "stock": 10,
            **fields,
        }
        return SimpleNamespace(**shop.post("/products", json=body).json)

    return add


@pytest.fixture
def stock(shop):
    """Returns a function: how many of a product can be bought."""
    return lambda product: shop.get(f"/products/{product.id}").json["stock"]


@pytest.fixture
def place():
    """Returns a function that orders (product, quantity) pairs as somebody."""

    def order(buyer, *lines, **fields):
        items = [{"product_id": product.id, "quantity": quantity} for product, quantity in lines]
        return buyer.post("/orders", json={"items": items, **fields})

    return order


@pytest.fixture
def accounts(app, network, keys, databases):
    """Returns a function that registers somebody with points: `id`, `client`, `balance()`."""
    register_administrator(databases("microservice1"))
    token = testing.user_token(keys, ADMINISTRATOR, "admin")
    users = testing.Client(network.apps["microservice1"], token)

    def register(username, *, points):
        body = {"username": username, "email": f"{username}@example.com", "points": points}
        user_id = users.post("/users", json=body).json["id"]
        return SimpleNamespace(
            id=user_id,
            client=testing.Client(app, testing.user_token(keys, user_id)),
            balance=lambda: users.get(f"/users/{user_id}").json["points_balance"],
        )

    return register
