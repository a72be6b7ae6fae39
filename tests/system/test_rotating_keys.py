"""New signing keys while the shop is open: nobody is logged out, and no request fails."""

import json
import threading
import uuid
from contextlib import contextmanager

import jwt
import pytest

from chassis.settings import SERVICES

PASSWORD = "correct horse battery"


@pytest.fixture
def customer(stack):
    """A customer: their name, and a token."""
    name = f"c-{uuid.uuid4().hex[:12]}"
    body = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    stack.call("POST", "/api/service1/users", json=body)
    return name, login(stack, name)


@pytest.fixture
def lamp(stack, admin_token):
    """The id of a product of which there is enough."""
    body = {
        "sku": uuid.uuid4().hex,
        "name": "Lamp",
        "category": "Lighting",
        "price": 9,
        "stock": 9999,
    }
    return stack.call("POST", "/api/service2/products", token=admin_token, json=body).json()["id"]


def login(stack, name):
    body = {"username": name, "password": PASSWORD}
    return stack.call("POST", "/api/service1/tokens", json=body).json()["access_token"]


def order(stack, token, product, **headers):
    body = {"items": [{"product_id": product, "quantity": 1}]}
    return stack.call("POST", "/api/service3/orders", token=token, json=body, headers=headers)


def published(stack):
    """Return {service: its keys} of the public file."""
    keys = json.loads((stack.var / "keys/jwks.json").read_text())["keys"]
    return {name: [key for key in keys if key["iss"] == name] for name in SERVICES}


@contextmanager
def repeated(*calls):
    """Repeat each of these calls in a thread of its own meanwhile. Yields what was answered."""
    statuses, stopped = [], threading.Event()

    def repeat(call):
        while not stopped.wait(0.05):
            statuses.append(call().status_code)

    threads = [threading.Thread(target=repeat, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def test_nobody_notices_that_keys_are_rotated(stack, customer, lamp):
    name, token = customer

    def anew():
        """Log in, and show the new token to another service at once."""
        return stack.call("GET", "/api/service3/orders", token=login(stack, name))

    me = ("GET", "/api/service1/users/me")
    with repeated(
        anew, lambda: stack.call(*me, token=token), lambda: order(stack, token, lamp)
    ) as statuses:
        for _ in range(3):
            stack.script("keys", "rotate")

    assert set(statuses) == {200, 201}
    assert len(statuses) > 50
    assert {
        name: sum("exp" not in key for key in keys) for name, keys in published(stack).items()
    } == (dict.fromkeys(SERVICES, 1))


def test_a_new_token_is_signed_with_the_new_key_and_the_old_one_is_still_good(stack, customer):
    name, before = customer

    answer = stack.script("keys", "rotate", "microservice1")

    after = login(stack, name)
    kids = [jwt.get_unverified_header(token)["kid"] for token in (before, after)]
    assert kids[0] != kids[1]
    assert "microservice1 signs with its new key" in answer.stdout
    assert "microservice2" not in answer.stdout
    for token in (before, after):
        assert stack.call("GET", "/api/service2/products", token=token).status_code == 200
        assert stack.call("GET", "/api/service1/users/me", token=token).status_code == 200
    listed = stack.script("keys", "list", "microservice1").stdout.splitlines()
    assert [line.split()[2].rstrip(",") for line in listed if line.split()[1] in kids] == [
        "retired",
        "signs",
    ]


def test_a_request_that_is_repeated_after_a_rotation_is_recognised(stack, customer, lamp):
    _, token = customer
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first = order(stack, token, lamp, **key)
    assert first.status_code == 201

    stack.script("keys", "rotate", "microservice3")
    again = order(stack, token, lamp, **key)

    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])


def test_a_cursor_leads_on_after_a_rotation(stack):
    page = stack.call("GET", "/api/service2/products?after=&limit=1")
    following = page.links["next"]["url"]

    stack.script("keys", "rotate", "microservice2")

    assert stack.call("GET", following).status_code == 200


def test_a_rotation_that_was_killed_is_finished_by_the_next(stack, customer):
    name, before = customer
    stack.function("with_keys", "announce", "microservice1")
    stack.function("with_keys", "switch", "microservice1")
    between = login(stack, name)

    stack.script("keys", "rotate", "microservice1")

    after = login(stack, name)
    assert jwt.get_unverified_header(after)["kid"] == jwt.get_unverified_header(between)["kid"]
    assert [key["kid"] for key in published(stack)["microservice1"] if "exp" not in key] == [
        jwt.get_unverified_header(after)["kid"]
    ]
    for token in (before, between, after):
        assert stack.call("GET", "/api/service1/users/me", token=token).status_code == 200


def test_a_key_that_is_thrown_away_proves_nothing_any_more(stack, customer):
    name, stolen = customer
    (stack.var / "keys/microservice1.pem").unlink()

    stack.script("up")

    assert stack.call("GET", "/api/service1/users/me", token=stolen).status_code == 401
    anew = login(stack, name)
    assert stack.call("GET", "/api/service1/users/me", token=anew).status_code == 200


def test_a_dry_run_changes_nothing(stack):
    before = (stack.var / "keys/jwks.json").read_text()

    answer = stack.script("keys", "rotate", "--dry-run", "microservice2")

    assert "microservice2" in answer.stdout
    assert (stack.var / "keys/jwks.json").read_text() == before


@pytest.mark.parametrize(
    "words", [[], ["rotate", "microservice9"], ["list", "everything"], ["--now"]]
)
def test_what_makes_no_sense_is_refused(stack, words):
    assert stack.script("keys", *words, check=False).returncode == 2
