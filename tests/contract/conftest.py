"""All four real applications in one process, joined by a network that the tests can look at."""

import importlib
from types import SimpleNamespace

import pytest

from chassis import testing
from chassis.settings import SERVICES
from chassis.worker import Worker
from tests.administrators import ADMINISTRATOR, register_administrator

DEAD_LETTER = 900


@pytest.fixture
def shop(fresh_service):
    """The four services: `apps`, `services`, `network`, and `work()` for all their workers."""
    network = testing.Network()
    services = {name: fresh_service(name) for name in SERVICES}
    for service in services.values():
        service.http_adapter = network
    network.apps = {
        name: importlib.import_module(f"{name}.app").create_app(services[name]) for name in SERVICES
    }
    lanes = {name: importlib.import_module(f"{name}.worker").LANES for name in SERVICES}

    def work():
        for _ in range(10):
            if not sum(
                testing.deliver_all(Worker(services[name], lanes[name])) for name in SERVICES
            ):
                return
        raise AssertionError("the workers find no end")

    return SimpleNamespace(services=services, apps=network.apps, network=network, work=work)


@pytest.fixture
def admin_of(shop, keys, databases):
    """Returns a function: an administrator at a service."""
    register_administrator(databases("microservice1"))
    token = testing.user_token(keys, ADMINISTRATOR, "admin")
    return lambda name: testing.Client(shop.apps[name], token)


@pytest.fixture
def a_product(admin_of):
    """Returns a function that adds a product and returns its id."""

    def add(**fields):
        body = {"sku": "LAMP", "name": "Desk lamp", "category": "Lighting", "price": 29.9}
        answer = admin_of("microservice2").post("/products", json={**body, "stock": 10, **fields})
        return answer.json["id"]

    return add


@pytest.fixture
def a_user(admin_of):
    """Returns a function that registers a user and returns their id."""

    def add(username="ada", email="ada@example.com", **fields):
        body = {"username": username, "email": email, **fields}
        return admin_of("microservice1").post("/users", json=body).json["id"]

    return add


@pytest.fixture
def a_dead_letter(databases):
    """Returns a function that gives a service the dead letter of the number DEAD_LETTER."""

    def add(name):
        testing.query(
            databases(name),
            """
            INSERT INTO outbox (id, lane, subject, message, request_id, state, last_error)
            OVERRIDING SYSTEM VALUE
            VALUES (%(id)s, 'microservice4', 'order/1', '{"id": "x"}', 'request', 'dead', 'refused')
            """,
            id=DEAD_LETTER,
        )

    return add
