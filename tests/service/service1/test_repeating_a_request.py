"""A POST that is sent again with the same Idempotency-Key: what is stored for it, and for whom."""

import hashlib
import hmac
import json

import pytest

from chassis import testing
from tests.service.service1.conftest import PASSWORD

ADA = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
KEY = {"Idempotency-Key": "4f8a-first-try"}


def test_a_registration_that_is_repeated_opens_one_account(anonymous, rows):
    first = anonymous.post("/users", json=ADA, headers=KEY)
    again = anonymous.post("/users", json=ADA, headers=KEY)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.data == first.data
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert rows("SELECT count(*) FROM users") == [(1,)]
    assert rows("SELECT count(*) FROM outbox") == [(1,)]


def test_neither_the_password_nor_the_key_is_stored(anonymous, admin, rows):
    anonymous.post("/users", json=ADA, headers=KEY)
    assert admin.post("/users", json=ADA, headers=KEY).status_code == 409

    stored = rows("SELECT scope, fingerprint, body, row_to_json(k)::text FROM idempotency_keys k")
    assert len(stored) == 2
    for scope, fingerprint, body, row in stored:
        text = bytes(scope) + bytes(fingerprint) + bytes(body) + row.encode()
        for secret in (PASSWORD, KEY["Idempotency-Key"]):
            assert secret.encode() not in text
            assert secret.encode().hex().encode() not in text


def test_what_is_stored_of_the_body_can_be_computed_by_this_service_alone(
    anonymous, rows, users, keys
):
    """So nobody can try passwords on it."""
    body = json.dumps(ADA).encode()
    anonymous.post("/users", data=body, content_type="application/json", headers=KEY)

    ((fingerprint,),) = rows("SELECT fingerprint FROM idempotency_keys")

    others = testing.make_service("microservice2", "", keys).secret("idempotency")
    secret = users.secret("idempotency")
    assert bytes(fingerprint) == hmac.digest(secret, body, "sha256")
    assert bytes(fingerprint) != hashlib.sha256(body).digest()
    assert len({secret, others, users.secret("something else")}) == 3


def test_a_refusal_without_a_token_is_not_stored(anonymous, admin, rows):
    first = anonymous.post("/users", json=ADA).json["id"]
    assert anonymous.post("/users", json=ADA, headers=KEY).status_code == 409
    assert rows("SELECT count(*) FROM idempotency_keys") == [(0,)]

    admin.delete(f"/users/{first}")
    assert anonymous.post("/users", json=ADA, headers=KEY).status_code == 201


def test_a_refusal_of_a_signed_in_caller_is_stored(anonymous, admin, rows):
    anonymous.post("/users", json=ADA)

    answers = [admin.post("/users", json=ADA, headers=KEY) for _ in range(2)]

    assert [answer.json["code"] for answer in answers] == ["username_taken"] * 2
    assert answers[1].headers["Idempotency-Replayed"] == "true"


def test_the_addresses_of_one_network_have_one_set_of_keys(app):
    """A client with IPv6 changes its address within a /64 at any time."""
    places = ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1")
    body = {"username": "ada", "email": "ada@example.com"}

    answers = [
        testing.Client(app, address=place).post("/users", json=body, headers=KEY)
        for place in places
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 409]
    assert answers[1].headers["Idempotency-Replayed"] == "true"


def test_the_keys_of_two_addresses_are_two(app):
    """Two strangers may choose the same key; neither may see the other's answer."""

    def register(address):
        stranger = testing.Client(app, address=address)
        return stranger.post("/users", json=ADA, headers=KEY)

    answers = [register(address) for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1")]

    assert [answer.status_code for answer in answers] == [201, 409, 201]
    assert answers[2].headers["Idempotency-Replayed"] == "true"


def test_signing_in_takes_no_key(anonymous, a_user, rows):
    a_user(username="ada", password=PASSWORD)
    body = {"username": "ada", "password": PASSWORD}

    answers = [anonymous.post("/tokens", json=body, headers=KEY) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    refreshed = [
        anonymous.post(
            "/tokens/refresh",
            json={"refresh_token": answers[0].json["refresh_token"]},
            headers={"Idempotency-Key": "not a valid key"},
        )
        for _ in range(2)
    ]

    assert answers[0].json["refresh_token"] != answers[1].json["refresh_token"]
    assert refreshed[0].status_code == 200
    for answer in (*answers, *refreshed):
        assert "Idempotency-Replayed" not in answer.headers
    assert rows("SELECT count(*) FROM idempotency_keys") == [(0,)]


def test_internal_routes_take_no_key(orders_service, rows):
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/microservice3",
        "type": "order.confirmed",
        "subject": "order/1",
        "time": "2026-01-31T09:30:00Z",
        "data": {"order_id": 1, "user_id": 1, "total": 5.0},
    }

    answer = orders_service.post("/internal/events", json=event, headers=KEY)

    assert answer.status_code == 204, answer.text
    assert rows("SELECT count(*) FROM idempotency_keys") == [(0,)]


def test_who_may_no_longer_call_the_route_gets_no_stored_answer(admin, as_user, a_user):
    ada = a_user()
    body = {"points": 60, "reason": "A gift"}
    assert admin.post(f"/users/{ada.id}/points", json=body, headers=KEY).status_code == 200

    demoted = as_user(1, "customer").post(f"/users/{ada.id}/points", json=body, headers=KEY)

    assert (demoted.status_code, demoted.json["code"]) == (403, "forbidden")


def test_points_are_given_once_for_each_key(admin, a_user):
    ada = a_user()

    def give(key):
        return admin.post(
            f"/users/{ada.id}/points",
            json={"points": 60, "reason": "A gift"},
            headers={"Idempotency-Key": key},
        ).json["points"]

    assert [give("a"), give("a"), give("b"), give("a")] == [60, 60, 120, 60]


def test_the_same_key_on_another_address_is_another_request(admin, a_user):
    ada, bob = a_user(), a_user()
    body = {"points": 60, "reason": "A gift"}

    for user in (ada, bob):
        answer = admin.post(f"/users/{user.id}/points", json=body, headers=KEY)
        assert (answer.status_code, answer.json["id"]) == (200, user.id)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_the_caller_is_not_stored(anonymous, customer, rows, a_user, status):
    caller = anonymous if status == 401 else customer

    answer = caller.post(
        f"/users/{a_user().id}/points", json={"points": 1, "reason": "Me"}, headers=KEY
    )

    assert answer.status_code == status
    assert rows("SELECT count(*) FROM idempotency_keys") == [(0,)]
