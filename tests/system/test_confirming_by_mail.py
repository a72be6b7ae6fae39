"""The whole way of a code: a request, an event, an e-mail in a file, and back by a request."""

import re
import time
import uuid
from email import message_from_bytes
from email.policy import default

import pytest

PASSWORD, NEW_PASSWORD = "correct horse battery", "a wholly new password"
USERS, TOKENS = "/api/service1/users", "/api/service1/tokens"
CONFIRMATIONS, RESETS = "/api/service1/confirmations", "/api/service1/password-resets"


@pytest.fixture
def register(stack):
    """Returns a function that registers as anybody may: (the user, a token)."""

    def register():
        name = f"mail-{uuid.uuid4().hex[:12]}"
        body = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
        answer = stack.call("POST", USERS, json={**body, "full_name": "Ada Lovelace"})
        assert answer.status_code == 201, answer.text
        return answer.json(), sign_in(stack, name).json()["access_token"]

    return register


@pytest.fixture
def mail(stack):
    """Returns a function: the last e-mail of a kind to an address, as soon as it is there."""

    def mail(address, kind):
        end = time.monotonic() + 20
        while True:
            for file in sorted(stack.var.glob(f"mail/*-{kind}.eml"), reverse=True):
                read = message_from_bytes(file.read_bytes(), policy=default)
                if read["To"] == address:
                    return read
            assert time.monotonic() < end, f"no e-mail {kind} to {address}"
            time.sleep(0.1)

    return mail


def sign_in(stack, name, password=PASSWORD):
    return stack.call("POST", TOKENS, json={"username": name, "password": password})


def code_in(mail):
    return re.search(r"^  ([0-9a-f]{32})\b", mail.get_content(), re.MULTILINE)[1]


def test_from_the_registration_to_letters_by_name(stack, register, mail, admin_token):
    ada, token = register()
    welcome = mail(ada["email"], "user.registered")
    assert welcome.get_content().startswith("Hello,")

    answer = stack.call("POST", CONFIRMATIONS, json={"code": code_in(welcome)})

    assert (answer.status_code, answer.json()["email_confirmed"]) == (200, True)
    gift = {"points": 60, "reason": "A gift"}
    stack.call("POST", f"{USERS}/{ada['id']}/points", token=admin_token, json=gift)
    promoted = mail(ada["email"], "user.promoted")
    assert promoted.get_content().startswith("Dear Ada Lovelace,")
    again = stack.call("POST", CONFIRMATIONS, json={"code": code_in(welcome)})
    assert (again.status_code, again.json()["code"]) == (422, "bad_code")


def test_a_confirmed_address_is_replaced_once_the_new_one_is_confirmed(stack, register, mail):
    ada, token = register()
    code = code_in(mail(ada["email"], "user.registered"))
    stack.call("POST", CONFIRMATIONS, json={"code": code})
    new = f"new-{ada['email']}"

    answer = stack.call("PATCH", f"{USERS}/{ada['id']}", token=token, json={"email": new})

    assert answer.status_code == 200
    assert (answer.json()["email"], answer.json()["pending_email"]) == (ada["email"], new)
    warning = mail(ada["email"], "user.email_change_requested")
    assert new not in str(warning)
    code = code_in(mail(new, "user.confirmation_requested"))
    answer = stack.call("POST", CONFIRMATIONS, json={"code": code})
    assert (answer.json()["email"], answer.json()["pending_email"]) == (new, None)


def test_the_owner_of_an_address_takes_over_what_a_stranger_registered(stack, register, mail):
    stranger, token = register()
    taken = {"username": f"o-{stranger['username']}", "email": stranger["email"]}
    refused = stack.call("POST", USERS, json=taken)
    assert (refused.status_code, refused.json()["code"]) == (409, "email_taken")

    asked = stack.call("POST", RESETS, json={"email": stranger["email"]})
    assert (asked.status_code, asked.json()) == (202, {"email": stranger["email"]})
    code = code_in(mail(stranger["email"], "user.password_reset_requested"))
    answer = stack.call("PUT", RESETS, json={"code": code, "password": NEW_PASSWORD})

    assert (answer.status_code, answer.json()["email_confirmed"]) == (200, True)
    name = answer.json()["username"]
    assert sign_in(stack, name).status_code == 401
    assert sign_in(stack, name, NEW_PASSWORD).status_code == 200


def test_of_an_unknown_address_nothing_is_told_and_nothing_is_sent(stack):
    address = f"nobody-{uuid.uuid4().hex}@example.com"

    answer = stack.call("POST", RESETS, json={"email": address})

    assert (answer.status_code, answer.json()) == (202, {"email": address})
    time.sleep(2)
    mails = [file.read_text() for file in stack.var.glob("mail/*password_reset*.eml")]
    assert not any(address in text for text in mails)
