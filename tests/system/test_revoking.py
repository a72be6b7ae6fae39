"""Tokens of who was demoted, deleted, or has a new password: all four services refuse them."""

import secrets
import time
from types import SimpleNamespace

import pytest

from chassis.settings import SERVICES, prefix_of

PASSWORD, NEW_PASSWORD = "correct horse battery", "a wholly new password"
ENDINGS = {
    "demoted": ("PATCH", {"role": "customer"}),
    "deleted": ("DELETE", None),
    "password changed": ("PATCH", {"password": NEW_PASSWORD}),
}


def code(answer):
    return answer.status_code, answer.json().get("code") if answer.status_code >= 400 else None


def sign_in(stack, username, password):
    body = {"username": username, "password": password}
    answer = stack.call("POST", "/api/service1/tokens", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


def seen_by_all(stack, token):
    """Return what each service says to an administrator's token."""
    return {
        name: code(stack.call("GET", f"{prefix_of(name)}/audit?limit=1", token=token))
        for name in SERVICES
    }


@pytest.fixture(scope="module")
def former(stack):
    """Administrators to whom that has happened, and how long it took until all services knew."""
    admin, tokens, former = stack.admin_token(), {}, {}
    for ending in ENDINGS:
        name = f"former-{secrets.token_hex(4)}"
        body = {"username": name, "email": f"{name}@example.com", "role": "admin"}
        user = stack.call(
            "POST", "/api/service1/users", token=admin, json={**body, "password": PASSWORD}
        ).json()
        tokens[ending] = sign_in(stack, name, PASSWORD)
        former[ending] = SimpleNamespace(token=tokens[ending], **user)
        assert set(seen_by_all(stack, tokens[ending]).values()) == {(200, None)}
    for ending, (method, body) in ENDINGS.items():
        path = f"/api/service1/users/{former[ending].id}"
        assert stack.call(method, path, token=admin, json=body).status_code in (200, 204)

    began = time.monotonic()
    while any((200, None) in seen_by_all(stack, token).values() for token in tokens.values()):
        assert time.monotonic() - began < 60, "a service still believes a revoked token"
        time.sleep(0.5)
    return former


@pytest.mark.parametrize("ending", ENDINGS)
def test_within_a_minute_every_service_refuses_the_token(stack, former, ending):
    answers = seen_by_all(stack, former[ending].token)

    assert answers == dict.fromkeys(SERVICES, (401, "token_expired"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_order_is_placed_with_it(stack, former, ending):
    body = {"items": [{"product_id": 1, "quantity": 1}]}
    answer = stack.call("POST", "/api/service3/orders", token=former[ending].token, json=body)

    assert code(answer) == (401, "token_expired")


def test_who_signs_in_again_is_believed_at_once(stack, former):
    token = sign_in(stack, former["password changed"].username, NEW_PASSWORD)

    assert set(seen_by_all(stack, token).values()) == {(200, None)}


def test_others_are_not_concerned(stack, former):
    assert set(seen_by_all(stack, stack.admin_token()).values()) == {(200, None)}


def test_the_last_list_holds_while_users_is_down_and_outlives_a_restart(stack, former):
    stack.function("stop_service", "microservice1")
    try:
        stack.function("stop_service", "microservice3")
        stack.function("start_service", "microservice3")
        stack.function("await_ready", "microservice3")
        answers = {
            (name, ending): code(
                stack.call("GET", f"{prefix_of(name)}/audit", token=former[ending].token)
            )
            for name in list(SERVICES)[1:]
            for ending in ENDINGS
        }
    finally:
        stack.function("start_service", "microservice1")
        stack.function("await_ready", "microservice1")

    assert set(answers.values()) == {(401, "token_expired")}
