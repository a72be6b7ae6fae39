"""Whoever reads an account's address sets its password, also when another person has entered it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from chassis import testing
from chassis.worker import Worker
from microservice1.logic import resetting
from microservice1.worker import LANES
from tests.service.service1.conftest import PASSWORD

NEW = "a wholly new password"


def refusal(answer):
    return answer.status_code, answer.json["code"]


@pytest.fixture
def ask(anonymous, users):
    """Returns a function: ask for a reset, and let the worker send what follows."""

    def ask(email):
        answer = anonymous.post("/password-resets", json={"email": email})
        testing.deliver_all(Worker(users, {resetting.LANE: LANES[resetting.LANE]}))
        return answer

    return ask


@pytest.fixture
def reset(anonymous):
    """Returns a function: set a password by a code."""
    return lambda code, password=NEW: anonymous.put(
        "/password-resets", json={"code": code, "password": password}
    )


@pytest.fixture
def asked(ask, letters):
    """Returns a function: ask, and return the code that goes out."""

    def asked(email):
        assert ask(email).status_code == 202
        return letters("user.password_reset_requested")[-1][1]

    return asked


def test_a_code_sets_a_new_password_and_ends_all_sessions(
    a_user, asked, reset, sign_in, session, anonymous
):
    ada = a_user(password=PASSWORD)
    before = session(ada.username)

    answer = reset(asked(ada.email.upper()))

    assert (answer.status_code, answer.json["username"]) == (200, ada.username)
    assert answer.headers["Cache-Control"] == "no-store"
    assert refusal(sign_in(ada.username)) == (401, "bad_credentials")
    assert sign_in(ada.username, NEW).status_code == 200
    refreshed = anonymous.post("/tokens/refresh", json={"refresh_token": before.refresh_token})
    assert refusal(refreshed) == (401, "bad_credentials")


def test_the_letter_says_whether_its_recipient_is_confirmed(a_user, a_stranger, ask, announced):
    for user in (a_user(), a_stranger()):
        ask(user.email)

    told = [data for _, data in announced("user.password_reset_requested")]
    assert [data["recipient_confirmed"] for data in told] == [True, False]


def test_the_owner_of_an_address_takes_the_account_over(
    a_stranger, asked, reset, sign_in, session, announced, letters, anonymous
):
    thief = a_stranger(email="owner@example.com", username="thief")
    session("thief")

    answer = reset(asked("owner@example.com"))

    assert answer.json["email_confirmed"] is True
    assert (answer.json["id"], answer.json["username"]) == (thief.id, "thief")
    assert refusal(sign_in("thief")) == (401, "bad_credentials")
    assert announced("user.updated")[0][1]["email_confirmed"] is True
    late = anonymous.post("/confirmations", json={"code": letters("user.registered")[0][1]})
    assert refusal(late) == (422, "bad_code")


def test_an_account_without_a_password_gets_one(a_user, asked, reset, sign_in):
    ada = a_user()

    assert reset(asked(ada.email)).status_code == 200
    assert sign_in(ada.username, NEW).status_code == 200


def test_a_pending_address_is_called_off(a_user, as_holder, asked, reset, letters, anonymous):
    ada = a_user()
    as_holder(ada).patch(f"/users/{ada.id}", json={"email": "thief@example.org"})
    [(_, code_of_thief)] = letters("user.confirmation_requested")

    answer = reset(asked(ada.email))

    assert (answer.json["email"], answer.json["pending_email"]) == (ada.email, None)
    late = anonymous.post("/confirmations", json={"code": code_of_thief})
    assert refusal(late) == (422, "bad_code")


def test_a_pending_address_gets_no_reset(a_user, as_holder, ask, letters):
    ada = a_user()
    as_holder(ada).patch(f"/users/{ada.id}", json={"email": "thief@example.org"})

    ask("thief@example.org")

    assert letters("user.password_reset_requested") == []


def test_an_unknown_address_gets_the_same_answer_by_the_same_work(a_user, anonymous, rows, ask):
    ada = a_user()

    known, unknown = (
        anonymous.post("/password-resets", json={"email": email})
        for email in (ada.email, "nobody@example.com")
    )

    assert known.status_code == unknown.status_code == 202
    assert (known.json, unknown.json) == ({"email": ada.email}, {"email": "nobody@example.com"})
    assert set(known.headers.keys()) == set(unknown.headers.keys())
    tasks = rows("SELECT message->>'email' FROM outbox WHERE lane = 'password_resets' ORDER BY id")
    assert tasks == [(ada.email,), ("nobody@example.com",)]
    ask("nobody@example.com")
    assert rows("SELECT user_id FROM email_codes") == [(ada.id,)]
    assert rows("SELECT count(*) FROM outbox WHERE lane = 'password_resets'") == [(0,)]


def test_a_code_is_for_one_use_and_ends_the_others(a_user, asked, reset):
    ada = a_user()
    first, second = asked(ada.email), asked(ada.email)

    assert reset(second).status_code == 200
    assert refusal(reset(second)) == (422, "bad_code")
    assert refusal(reset(first)) == (422, "bad_code")


def test_of_two_uses_at_once_one_counts(a_user, asked, reset):
    code = asked(a_user().email)

    with ThreadPoolExecutor() as pool:
        statuses = sorted(answer.status_code for answer in pool.map(reset, [code] * 2))

    assert statuses == [200, 422]


def test_a_code_is_good_for_half_an_hour(a_user, asked, reset, rows):
    code = asked(a_user().email)
    [(seconds,)] = rows("SELECT extract(epoch FROM expires_at - created_at) FROM email_codes")
    rows("UPDATE email_codes SET expires_at = now()")

    assert seconds == 30 * 60
    assert refusal(reset(code)) == (422, "bad_code")


def test_a_code_that_confirms_sets_no_password_and_the_other_way_round(
    a_stranger, asked, reset, letters, anonymous
):
    ada = a_stranger()
    [(_, confirms)] = letters("user.registered")
    resets = asked(ada.email)

    assert refusal(reset(confirms)) == (422, "bad_code")
    answer = anonymous.post("/confirmations", json={"code": resets})
    assert refusal(answer) == (422, "bad_code")
    assert reset(resets).status_code == 200


def test_a_code_for_an_address_that_was_replaced_is_worth_nothing(
    a_stranger, as_holder, asked, reset
):
    ada = a_stranger()
    code = asked(ada.email)

    as_holder(ada).patch(f"/users/{ada.id}", json={"email": "right@example.org"})

    assert refusal(reset(code)) == (422, "bad_code")


def test_a_flood_of_requests_sends_three_letters_in_half_an_hour(a_user, ask, letters, rows):
    ada = a_user()

    answers = {ask(ada.email).status_code for _ in range(10)}

    assert answers == {202}
    assert len(letters("user.password_reset_requested")) == 3
    rows("UPDATE email_codes SET created_at = now() - interval '31 minutes'")
    ask(ada.email)
    assert len(letters("user.password_reset_requested")) == 4


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"code": "0" * 32}, "password"),
        ({"code": "0" * 32, "password": "short"}, "password"),
        ({"password": NEW}, "code"),
        ({"code": "0" * 32, "password": NEW, "email": "ada@example.com"}, "email"),
    ],
)
def test_what_is_wrong_is_said(anonymous, body, wrong):
    answer = anonymous.put("/password-resets", json=body)

    assert refusal(answer) == (422, "invalid")
    assert answer.json["errors"]["json"].keys() == {wrong}


def test_a_wrong_code_costs_no_hash(anonymous, reset, monkeypatch):
    from microservice1.logic import passwords

    monkeypatch.setattr(passwords, "hashed", lambda _: pytest.fail("it hashed"))

    assert refusal(reset("0" * 32)) == (422, "bad_code")
