from functools import cache
from itertools import count
from types import SimpleNamespace

import pytest

from microservice1.app import create_app
from tests.administrators import ADMINISTRATOR, register_administrator

PASSWORD = "correct horse battery"

app_of = cache(create_app)  # putting it together takes longer than most tests


@pytest.fixture
def users(fresh_service):
    """The service itself, with an empty database."""
    return fresh_service("microservice1")


@pytest.fixture
def app(users):
    return app_of(users)


@pytest.fixture
def admin(app, databases, as_user):
    """An administrator, whose number comes after those of all users that a test registers."""
    register_administrator(databases(app.name))
    return as_user(ADMINISTRATOR, "admin")


@pytest.fixture
def a_user(admin):
    """Returns a function that registers a user; what is not said is made up."""
    numbers = count(1)

    def register(**fields):
        number = next(numbers)
        body = {"username": f"user{number}", "email": f"user{number}@example.com", **fields}
        answer = admin.post("/users", json=body)
        assert answer.status_code == 201, answer.text
        return SimpleNamespace(**answer.json)

    return register


@pytest.fixture
def a_stranger(anonymous):
    """Returns a function that registers as anybody may: the address is unconfirmed."""
    numbers = count(1)

    def register(**fields):
        number = next(numbers)
        body = {"username": f"stranger{number}", "email": f"stranger{number}@example.com"}
        answer = anonymous.post("/users", json={**body, "password": PASSWORD, **fields})
        assert answer.status_code == 201, answer.text
        return SimpleNamespace(**answer.json)

    return register


@pytest.fixture
def letters(announced):
    """Returns a function: the letters of a type that are to go out, as (recipient, code)."""
    return lambda event_type: [
        (data["recipient"], data.get("code")) for _, data in announced(event_type)
    ]


@pytest.fixture
def as_holder(as_user):
    """Returns a function: a client signed in as the user who was registered."""
    return lambda user: as_user(user.id, user.role)


@pytest.fixture
def sign_in(anonymous):
    """Returns a function that signs in and returns the answer."""
    return lambda username, password=PASSWORD: anonymous.post(
        "/tokens", json={"username": username, "password": password}
    )


@pytest.fixture
def session(sign_in):
    """Returns a function that signs in and returns the tokens."""

    def opened(username, password=PASSWORD):
        answer = sign_in(username, password)
        assert answer.status_code == 200, answer.text
        return SimpleNamespace(**answer.json)

    return opened


@pytest.fixture
def announced(rows):
    """Returns a function: the (type, data) of all events that are to go out, in their order."""

    def events(*types):
        found = [message for (message,) in rows("SELECT message FROM outbox ORDER BY id")]
        return [
            (event["type"], event["data"]) for event in found if not types or event["type"] in types
        ]

    return events
