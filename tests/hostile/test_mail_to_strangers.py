"""The shop's e-mails are no means to write to strangers: real requests, real files."""

import re
import time
import uuid
from email import message_from_bytes
from email.policy import default

import pytest

pytestmark = pytest.mark.usefixtures("unharmed")

PASSWORD = "correct horse battery"
LURE = "You have won. Claim it within 24 h"
WORDS = ("won", "evil", "Claim")


def mails_to(stack, address):
    """Return the e-mails that an address was sent."""
    read = (message_from_bytes(file.read_bytes(), policy=default) for file in mail_files(stack))
    return [mail for mail in read if mail["To"] == address]


def mail_files(stack):
    return sorted((stack.var / "mail").glob("*.eml"))


def code_in(mail):
    return re.search(r"^  ([0-9a-f]{32})\b", mail.get_content(), re.MULTILINE)[1]


def eventually(found, seconds=20):
    end = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)
    return answer


@pytest.fixture
def lamp(stack, admin_token):
    body = {"sku": uuid.uuid4().hex, "name": "Desk lamp", "category": "Lighting", "price": 60}
    answer = stack.call(
        "POST", "/api/service2/products", token=admin_token, json={**body, "stock": 9}
    )
    return answer.json()["id"]


@pytest.fixture
def lure(stack):
    """A stranger whose account is all lure, at a victim's address: (address, id, token)."""
    unique = uuid.uuid4().hex[:12]
    address = f"victim-{unique}@example.com"
    name = f"evil.example-{unique}"
    body = {"username": name, "email": address, "password": PASSWORD, "full_name": LURE}
    made = call(stack, "POST", "/api/service1/users", json=body)
    assert made.status_code == 201, made.text
    login = {"username": name, "password": PASSWORD}
    token = call(stack, "POST", "/api/service1/tokens", json=login).json()["access_token"]
    return address, made.json()["id"], token


def call(stack, method, path, **options):
    return stack.call(method, path, headers={"X-Request-ID": "Claim-at-evil.example"}, **options)


def test_a_strangers_words_reach_no_stranger(stack, lure, lamp):
    address, _, token = lure
    items = {"items": [{"product_id": lamp, "quantity": 1}]}
    order = call(stack, "POST", "/api/service3/orders", token=token, json=items).json()
    path = f"/api/service3/orders/{order['id']}"
    call(stack, "PATCH", path, token=token, json={"status": "cancelled"})
    call(stack, "POST", "/api/service1/password-resets", json={"email": address})

    # the welcome, the order, its cancellation and the reset; perhaps a promotion
    mails = eventually(lambda: len(found := mails_to(stack, address)) >= 4 and found)

    for mail in mails:
        assert mail.get_content().startswith("Hello,")
        for word in WORDS:
            assert word not in str(mail), mail["Subject"]


def test_nor_by_a_change_of_address(stack, lure):
    address, user_id, token = lure
    mail = eventually(lambda: mails_to(stack, address))[0]
    code = code_in(mail)
    assert call(stack, "POST", "/api/service1/confirmations", json={"code": code}).ok
    other = f"other-{address}"

    answer = call(
        stack, "PATCH", f"/api/service1/users/{user_id}", token=token, json={"email": other}
    )

    assert (answer.json()["email"], answer.json()["pending_email"]) == (address, other)
    [mail] = eventually(lambda: mails_to(stack, other))
    for word in WORDS:
        assert word not in str(mail)


def test_whoever_registers_an_address_cannot_read_its_code(stack, lure):
    address, user_id, token = lure
    mail = eventually(lambda: mails_to(stack, address))[0]
    code = code_in(mail)

    for path in (
        f"/api/service1/users/{user_id}",
        "/api/service4/notifications",
        f"/api/service4/notifications?user_id={user_id}",
    ):
        answer = stack.call("GET", path, token=token)
        assert answer.ok
        assert code not in answer.text


def test_no_code_is_in_any_log(stack, lure):
    address, _, _ = lure
    mail = eventually(lambda: mails_to(stack, address))[0]
    code = code_in(mail)

    assert call(stack, "POST", "/api/service1/confirmations", json={"code": code}).ok
    logs = "".join(file.read_text(errors="replace") for file in (stack.var / "log").glob("*.log"))
    assert "confirmations" in logs
    assert code not in logs
