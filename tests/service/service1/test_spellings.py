"""Equal to the eye, or to a mail server, is equal to the service."""

import unicodedata

import pytest
from argon2 import PasswordHasher

from chassis import wire
from microservice1.logic import codes, resetting

U_LABEL, A_LABEL = "info@bücher.example", "info@xn--bcher-kva.example"
SPELLINGS = [U_LABEL, A_LABEL, "INFO@BÜCHER.example", "info@bu\u0308cher.example"]
PASSWORD = "pässwörd ünïcode"


def decomposed(text):
    return unicodedata.normalize("NFD", text)


def refusal(answer):
    return answer.status_code, answer.json["code"]


@pytest.mark.parametrize("first", [U_LABEL, A_LABEL])
@pytest.mark.parametrize("second", SPELLINGS)
def test_a_mailbox_is_taken_in_any_spelling(anonymous, admin, a_user, first, second):
    a_user(email=first)
    other = a_user(email="other@example.com")

    registered = anonymous.post("/users", json={"username": "eve", "email": second})
    changed = admin.patch(f"/users/{other.id}", json={"email": second})

    assert refusal(registered) == refusal(changed) == (409, "email_taken")


def test_two_registrations_of_one_mailbox_at_once_are_one(admin, a_user, monkeypatch):
    a_user(email=U_LABEL)
    monkeypatch.setattr("microservice1.database.find_taken_name", lambda *_: None)

    answer = admin.post("/users", json={"username": "eve", "email": A_LABEL})

    assert refusal(answer) == (409, "email_taken")


@pytest.mark.parametrize("kept", [U_LABEL, A_LABEL, "Info@Bücher.example"])
def test_an_address_is_shown_as_given_and_found_in_any_spelling(admin, a_user, kept):
    user = a_user(email=kept)

    assert user.email == kept
    for spelling in SPELLINGS:
        found = admin.get("/users", query_string={"email": spelling}).json
        assert [entry["email"] for entry in found] == [kept]


def test_another_spelling_of_the_own_address_needs_no_confirmation(as_holder, a_user, letters):
    user = a_user(email=U_LABEL)

    changed = as_holder(user).patch(f"/users/{user.id}", json={"email": A_LABEL}).json

    assert (changed["email"], changed["email_confirmed"]) == (A_LABEL, True)
    assert changed["pending_email"] is None
    assert letters("user.confirmation_requested") == []


def test_a_code_proves_a_mailbox_in_any_spelling(as_holder, a_stranger, anonymous, announced):
    user = a_stranger(email=U_LABEL)
    ((_, welcome),) = announced("user.registered")
    as_holder(user).patch(f"/users/{user.id}", json={"email": A_LABEL})

    answer = anonymous.post("/confirmations", json={"code": welcome["code"]})

    assert (answer.status_code, answer.json["email_confirmed"]) == (200, True)


def test_other_spellings_bring_no_more_codes(as_holder, a_stranger, announced):
    user = a_stranger(email=U_LABEL)
    for spelling in [A_LABEL, U_LABEL, A_LABEL, U_LABEL, A_LABEL]:
        as_holder(user).patch(f"/users/{user.id}", json={"email": spelling})
        as_holder(user).post(f"/users/{user.id}/confirmation")

    sent = [data["code"] for _, data in announced() if data.get("code")]
    assert len(sent) == codes.MOST_CODES


def test_a_password_is_reset_by_any_spelling_of_the_address(users, a_user, anonymous, letters):
    a_user(email=U_LABEL)
    with users.active():
        resetting.send_code(Task(A_LABEL))

    ((recipient, _),) = letters("user.password_reset_requested")
    assert recipient == U_LABEL


class Task:
    """A message of the outbox, as resetting.ask writes it."""

    def __init__(self, email):
        self.body = wire.dumps({"email": email})


@pytest.mark.parametrize(
    "email",
    [
        "info@bücher.example\u200b",
        '"a da"@example.com',
        "ada@[127.0.0.1]",
        "ada@gmail",
        "=?utf-8?q?eve?=@example.com",
        "ada@exa_mple.com",
    ],
)
def test_an_address_that_cannot_be_written_to_is_refused(anonymous, rows, email):
    answer = anonymous.post("/users", json={"username": "ada", "email": email})

    assert refusal(answer) == (422, "invalid")
    (reason,) = answer.json["errors"]["json"]["email"]
    assert reason.startswith("Must ")
    assert rows("SELECT count(*) FROM users") == [(0,)]


def test_an_address_from_before_the_rules_can_be_changed(admin, a_user, rows):
    user = a_user()
    old = "UPDATE users SET email = '\"a da\"@example.com' WHERE id = %(id)s RETURNING id"
    rows(old, id=user.id)

    assert admin.get(f"/users/{user.id}").json["email"] == '"a da"@example.com'
    answer = admin.patch(f"/users/{user.id}", json={"email": "ada@example.com"})
    assert (answer.status_code, answer.json["email"]) == (200, "ada@example.com")


@pytest.mark.parametrize("name", [".", "..", ".ada", "-ada", "--help", "-"])
def test_a_username_is_no_path_and_no_option(anonymous, name):
    answer = anonymous.post("/users", json={"username": name, "email": "ada@example.com"})

    assert refusal(answer) == (422, "invalid")
    assert list(answer.json["errors"]["json"]) == ["username"]


@pytest.mark.parametrize(
    "name", ["   ", " Ada", "Ada ", "Ada\u200b", "\u3164", "A\u202eda", "a\nb"]
)
def test_a_full_name_is_visible(anonymous, name):
    body = {"username": "ada", "email": "ada@example.com", "full_name": name}

    assert refusal(anonymous.post("/users", json=body)) == (422, "invalid")


def test_a_name_is_kept_in_one_form(admin, a_user):
    assert a_user(full_name=decomposed("Zoë Łukasiewicz")).full_name == "Zoë Łukasiewicz"


@pytest.mark.parametrize("chosen", [PASSWORD, decomposed(PASSWORD)])
@pytest.mark.parametrize("typed", [PASSWORD, decomposed(PASSWORD)])
def test_a_password_may_be_typed_in_either_form(a_user, sign_in, as_holder, chosen, typed):
    user = a_user(username="ada", password=chosen)

    assert sign_in("ada", typed).status_code == 200
    body = {"password": "another one", "current_password": typed}
    assert as_holder(user).patch(f"/users/{user.id}", json=body).status_code == 200


def test_a_hash_from_before_is_found_by_the_raw_form_and_renewed(a_user, sign_in, rows):
    user = a_user(username="ada", password="not this one")
    raw = PasswordHasher(memory_cost=19_456, time_cost=2, parallelism=1).hash(decomposed(PASSWORD))
    rows(
        "UPDATE users SET password_hash = %(raw)s WHERE id = %(id)s RETURNING id",
        raw=raw,
        id=user.id,
    )

    assert refusal(sign_in("ada", PASSWORD)) == (401, "bad_credentials")
    assert sign_in("ada", decomposed(PASSWORD)).status_code == 200
    assert sign_in("ada", PASSWORD).status_code == 200


def test_a_long_password_may_be_typed_decomposed(a_user, sign_in):
    a_user(username="ada", password="ä" * 128)

    assert sign_in("ada", decomposed("ä" * 128)).status_code == 200
