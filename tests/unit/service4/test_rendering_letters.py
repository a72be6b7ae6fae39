from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis import wire
from microservice4.logic.rendering import (
    NEUTRAL_GREETING,
    PLACE_OF_CODE,
    greeting_of,
    render,
    with_code,
)
from microservice4.models import EMAILED
from microservice4.schemas import ShopEvent

ADA = SimpleNamespace(full_name="Ada Lovelace", username="ada")
ORDER = {"order_id": 12, "user_id": 7, "version": 1, "currency": "EUR", "total": 1, "items": []}
USER = {
    "user_id": 7,
    "username": "ada",
    "email": "ada@example.com",
    "status": "Gold",
    "recipient": "countess@example.com",
    "recipient_confirmed": False,
    "code": "0f9d7c1e6b3a48529d2e7f60c4b1a835",
    "code_expires_at": "2026-01-31T10:00:00.123456+00:00",
}
WITH_A_CODE = [
    "user.registered",
    "user.confirmation_requested",
    "user.password_reset_requested",
]

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50)
amounts = st.decimals(0, 9_999_999_999, places=2)
lines = st.fixed_dictionaries(
    {"product_id": st.integers(1, 10**6), "quantity": st.integers(1, 10**6)},
    optional={"name": text | st.none(), "sku": text | st.none(), "line_total": amounts},
)


def letter(event_type, contact=ADA, *, public_url="", **data):
    """The letter for an event, after the checks that it passes when it comes in."""
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/test",
        "type": event_type,
        "subject": "test/1",
        "time": "2026-01-31T09:30:00Z",
        "data": wire.loads(wire.dumps(data)),
    }
    facts = ShopEvent().load(event)["data"]
    code = facts.pop("code", None)
    news = SimpleNamespace(event_type=event_type, facts=wire.dumps(facts).decode(), code=code)
    return render(news, greeting_of(contact) if contact else NEUTRAL_GREETING, public_url)


@pytest.mark.parametrize("event_type", EMAILED)
@given(
    name=text,
    status=text.filter(bool),
    reason=text,
    items=st.lists(lines, max_size=20),
    total=amounts | st.none(),
)
def test_whatever_an_event_holds_there_is_a_letter(event_type, name, status, reason, items, total):
    data = USER if event_type.startswith("user.") else ORDER
    data = {**data, "status": status, "reason": reason, "items": items, "total": total}

    made = letter(event_type, SimpleNamespace(full_name=name, username="ada"), **data)

    assert made.subject
    assert made.subject == " ".join(made.subject.split())
    assert made.body.splitlines()[0] == f"Dear {' '.join(name.split()) or 'ada'},"
    assert made.body.endswith("Kind regards\nQuartet\n")


@given(total=amounts)
def test_an_amount_is_told_to_the_cent(total):
    assert (
        f"\nTotal: {total:.2f} EUR\n" in letter("order.confirmed", **{**ORDER, "total": total}).body
    )


@given(items=st.lists(lines, max_size=100))
def test_every_line_of_an_order_is_listed_on_a_line_of_its_own(items):
    body = letter("order.shipped", **{**ORDER, "items": items}).body

    frame = letter("order.shipped", **{**ORDER, "items": []}).body
    assert len(body.splitlines()) == len(frame.splitlines()) + len(items)
    listed = [line for line in body.splitlines() if line.startswith("  ")]
    assert len(listed) == len(items)
    for line, item in zip(listed, items, strict=True):
        assert line.startswith(f"  {item['quantity']} x ")


@pytest.mark.parametrize(
    ("full_name", "greeting"), [("Ada Lovelace", "Ada Lovelace"), ("", "ada"), (None, "ada")]
)
def test_users_are_greeted_by_their_full_name_or_else_their_username(full_name, greeting):
    made = letter("user.registered", SimpleNamespace(full_name=full_name, username="ada"), **USER)

    assert made.body.startswith(f"Dear {greeting},\n")


def test_a_neutral_greeting_names_nobody():
    assert letter("user.registered", None, **USER).body.startswith("Hello,\n")


@pytest.mark.parametrize("event_type", WITH_A_CODE)
def test_a_code_is_only_in_what_is_sent(event_type):
    body = letter(event_type, **USER).body

    assert USER["code"] not in body
    assert f"\n  {PLACE_OF_CODE}\n\nIt works once, until 2026-01-31, 10:00 UTC.\n" in body
    assert f"\n  {USER['code']}\n" in with_code(body, USER["code"])
    assert "http" not in body


@pytest.mark.parametrize(
    ("event_type", "page"),
    list(zip(WITH_A_CODE, ["confirm", "confirm", "reset-password"], strict=True)),
)
def test_with_a_site_there_is_a_link_whose_code_no_server_sees(event_type, page):
    body = letter(event_type, public_url="https://shop.example", **USER).body

    link = f"\n  https://shop.example/{page}#code={USER['code']}\n"
    assert link in with_code(body, USER["code"])


def test_the_welcome_of_an_address_that_is_confirmed_asks_for_nothing():
    confirmed = {name: USER[name] for name in ("user_id", "username", "email", "status")}

    assert letter("user.registered", **confirmed).body == (
        "Dear Ada Lovelace,\n\n"
        "Welcome to Quartet. Your account is ready, and you can use it at once.\n\n"
        "Kind regards\nQuartet\n"
    )


@pytest.mark.parametrize("event_type", WITH_A_CODE)
def test_no_line_is_so_long_that_the_code_would_be_encoded(event_type):
    body = letter(event_type, public_url="http://127.0.0.1:8080", **USER).body

    assert max(map(len, with_code(body, USER["code"]).splitlines())) <= 78  # RFC 5322, 2.1.1
