"""Every public POST takes an `Idempotency-Key`: the operations are those that OpenAPI lists."""

import pytest

from chassis import testing
from chassis.settings import SERVICES
from tests.contract.conftest import DEAD_LETTER

KEY = {"Idempotency-Key": "k-1"}
WITHOUT_KEY = ("/tokens", "/confirmations", "/password-resets")
ADA = {"username": "ada", "email": "ada@example.com"}
SHADE = {"sku": "SHADE", "name": "Shade", "category": "Lighting", "price": 9.9, "stock": 10}

# {(service, route): (path, body)}, for a shop with user 1, product 1 and notification 1
REQUESTS = {
    ("microservice1", "/users"): ("/users", ADA),
    ("microservice1", "/user"): ("/user", ADA),
    ("microservice1", "/users/{user_id}/points"): (
        "/users/1/points",
        {"points": 60, "reason": "A gift"},
    ),
    ("microservice1", "/users/{user_id}/confirmation"): ("/users/1/confirmation", None),
    ("microservice2", "/products"): ("/products", SHADE),
    ("microservice2", "/products/{product_id}/stock"): (
        "/products/1/stock",
        {"delta": 5, "reason": "Delivery"},
    ),
    ("microservice3", "/orders"): ("/orders", {"items": [{"product_id": 1, "quantity": 1}]}),
    ("microservice4", "/notifications/{notification_id}/retry"): ("/notifications/1/retry", None),
    ("microservice4", "/notifications/{notification_id}/give-up"): (
        "/notifications/2/give-up",
        None,
    ),
    **{
        (name, "/dead-letters/{letter_id}/replay"): (f"/dead-letters/{DEAD_LETTER}/replay", None)
        for name in SERVICES
    },
}


@pytest.fixture
def stocked(shop, a_product, a_dead_letter, databases):
    testing.Client(shop.apps["microservice1"]).post(
        "/users", json={"username": "bob", "email": "bob@example.com"}
    )
    a_product()
    testing.query(
        databases("microservice4"),
        """
        INSERT INTO notifications (user_id, event_id, event_type, facts, request_id, status)
        VALUES (1, 'event-1', 'user.registered', '{}', 'request-1', 'failed'),
               (1, 'event-2', 'user.registered', '{}', 'request-2', 'queued')
        """,
    )
    for name in SERVICES:
        a_dead_letter(name)
    return shop


def public_posts(shop):
    return {
        (name, path): operations["post"]
        for name in SERVICES
        for path, operations in openapi_of(shop, name)["paths"].items()
        if "post" in operations and not path.startswith((*WITHOUT_KEY, "/internal/"))
    }


def openapi_of(shop, name):
    return testing.document_of(shop.apps[name])


def test_every_public_post_is_tried_below(shop):
    assert public_posts(shop).keys() == REQUESTS.keys()


def test_every_public_post_is_documented_to_take_a_key(shop):
    for operation, described in public_posts(shop).items():
        keys = [p for p in described["parameters"] if p.get("name") == "Idempotency-Key"]
        assert [(key["in"], key["required"]) for key in keys] == [("header", False)], operation
        schema = keys[0]["schema"]
        assert (schema["minLength"], schema["maxLength"]) == (1, 255)
        for status, answer in described["responses"].items():
            if status.startswith("2"):
                assert "Idempotency-Replayed" in answer["headers"], (operation, status)
        for status, code in (
            ("400", "bad_idempotency_key"),
            ("409", "request_in_progress"),
            ("422", "idempotency_key_reused"),
        ):
            assert status in described["responses"], (operation, status)
            assert code in keys[0]["description"]


def test_no_other_operation_is(shop):
    for name in SERVICES:
        for path, operations in openapi_of(shop, name)["paths"].items():
            for method, described in operations.items():
                if (name, path) not in REQUESTS or method != "post":
                    assert "Idempotency-Key" not in str(described), (name, path, method)


@pytest.mark.parametrize(("name", "route"), REQUESTS)
def test_a_repeat_gets_the_same_answer_and_a_bad_key_none(stocked, admin_of, name, route):
    path, body = REQUESTS[name, route]
    caller = admin_of(name)

    first = caller.post(path, json=body, headers=KEY)
    again = caller.post(path, json=body, headers=KEY)
    other = caller.post(path, json={"other": "body"}, headers=KEY)
    bad = caller.post(path, json=body, headers={"Idempotency-Key": "not visible"})

    assert first.status_code in (200, 201, 202), first.text
    assert (again.status_code, again.data) == (first.status_code, first.data)
    assert again.headers.get("Location") == first.headers.get("Location")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")
    assert (bad.status_code, bad.json["code"]) == (400, "bad_idempotency_key")
