"""Forged tokens open no door: not at the verifier of any service, and not through Nginx."""

import http.client
import json
from urllib.parse import urlsplit

import pytest

from chassis.errors import Unauthenticated
from chassis.settings import SERVICES, prefix_of
from chassis.tokens import Verifier
from tests.hostile.forging import FORGERIES, Forger

CLOSED = {
    "microservice1": "/users",
    "microservice2": "/products/1/stock",
    "microservice3": "/orders",
    "microservice4": "/notifications",
}


def test_the_forger_can_sign_what_is_right(keys):
    for service in SERVICES:
        forger = Forger(keys, service)
        verifier = Verifier(service, keys / "jwks.json")

        assert verifier.identify(forger.user()).user_id == 7
        assert verifier.identify(forger.service()).service == "microservice3"


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_token_is_refused_by_every_service(keys, forge):
    for service in SERVICES:
        with pytest.raises(Unauthenticated):
            Verifier(service, keys / "jwks.json").identify(forge(Forger(keys, service)))


@pytest.mark.parametrize("service", SERVICES)
def test_through_nginx_they_are_refused_as_well(stack, service):
    forger = Forger(stack.var / "keys", service)
    assert ask(stack, service, f"Bearer {forger.user()}")[0] in (200, 404)

    answers = {
        name: ask(stack, service, f"Bearer {forge(forger)}") for name, forge in FORGERIES.items()
    }

    expired = {name for name, answer in answers.items() if answer == (401, "token_expired")}
    assert {name.partition(" ")[0] for name in expired} <= {"expired", "exp", "nbf", "iat"}
    others = {name: answer for name, answer in answers.items() if name not in expired}
    assert others == dict.fromkeys(others, (401, "unauthenticated"))


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer   "])
def test_the_scheme_may_be_written_in_any_case(stack, scheme):
    assert ask(stack, "microservice3", scheme + customer(stack)) == (200, None)


@pytest.mark.parametrize(
    "scheme", ["", "Token ", "Basic ", "Bearer", "Bearer:", "Bearer=", "Bearer\t", "Bearer Bearer "]
)
def test_another_scheme_proves_nothing(stack, scheme):
    answer = ask(stack, "microservice3", scheme + customer(stack))

    assert answer == (401, "unauthenticated")


def test_two_authorization_headers_prove_nothing(stack):
    token = f"Bearer {customer(stack)}"

    for both in ((token, token), (token, "Bearer a.b.c"), ("Bearer a.b.c", token)):
        assert ask(stack, "microservice3", *both)[0] in (400, 401)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"X-Authorization": "Bearer {}"},
        {"Proxy-Authorization": "Bearer {}"},
        {"Cookie": "access_token={}; Authorization=Bearer {}"},
        {"X-Forwarded-User": "1"},
        {"Authorization_": "Bearer {}"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_a_token_in_another_place_is_none(stack, elsewhere):
    token = customer(stack)
    headers = {name: value.replace("{}", token) for name, value in elsewhere.items()}

    assert ask(stack, "microservice3", headers=headers) == (401, "unauthenticated")


@pytest.mark.parametrize("name", ["access_token", "token", "authorization", "jwt"])
def test_a_token_in_the_address_is_none(stack, name):
    answer = stack.call("GET", f"/api/service3/orders?{name}={customer(stack)}")

    assert answer.status_code in (401, 422)


def customer(stack):
    return Forger(stack.var / "keys", "microservice3").user(role="customer")


def ask(stack, service, *authorizations, headers=None):
    """Return (status, code) of a route that is for users; each authorization is one header."""
    connection = http.client.HTTPConnection(urlsplit(stack.url).netloc, timeout=10)
    try:
        connection.putrequest("GET", prefix_of(service) + CLOSED[service])
        for value in authorizations:
            connection.putheader("Authorization", value.encode())
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = json.load(answer)
        return answer.status, body["code"] if answer.status >= 400 else None
    finally:
        connection.close()
