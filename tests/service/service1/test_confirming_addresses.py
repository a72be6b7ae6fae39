"""An address is its account's once a code that went there comes back; until then it is a claim."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from chassis import testing
from microservice1.logic import retention
from tests.service.service1.conftest import PASSWORD

NEW = "countess@example.org"


def refusal(answer):
    return answer.status_code, answer.json["code"]


def email_of(view):
    return view["email"], view["email_confirmed"], view["pending_email"]


@pytest.fixture
def confirm(anonymous):
    """Returns a function: post a code, as the page behind the link does."""
    return lambda code: anonymous.post("/confirmations", json={"code": code})


@pytest.fixture
def changing(a_user, as_holder, letters):
    """A user whose confirmed address is to be replaced, and the code that does it."""
    ada = a_user(email="ada@example.com", password=PASSWORD)
    answer = as_holder(ada).patch(f"/users/{ada.id}", json={"email": NEW})
    assert answer.status_code == 200, answer.text
    [(recipient, code)] = letters("user.confirmation_requested")
    assert recipient == NEW
    return ada, code


def test_the_welcome_of_somebody_who_registers_carries_a_code_that_confirms(
    a_stranger, letters, confirm, announced, as_holder
):
    ada = a_stranger(email="Ada@example.com")
    assert email_of(vars(ada)) == ("Ada@example.com", False, None)
    [(recipient, code)] = letters("user.registered")
    assert (recipient, len(code)) == ("Ada@example.com", 32)

    answer = confirm(code)

    assert answer.status_code == 200
    assert email_of(answer.json) == ("Ada@example.com", True, None)
    assert answer.headers["Cache-Control"] == "no-store"
    assert as_holder(ada).get("/users/me").json == answer.json
    [(_, told)] = announced("user.updated")
    assert (told["email"], told["email_confirmed"], told["version"]) == ("Ada@example.com", True, 2)


def test_an_address_that_an_administrator_enters_is_confirmed(a_user, admin, announced):
    ada = a_user()
    changed = admin.patch(f"/users/{ada.id}", json={"email": NEW}).json

    assert ada.email_confirmed
    assert email_of(changed) == (NEW, True, None)
    assert [kind for kind, data in announced() if "code" in data] == []


def test_an_unconfirmed_account_signs_in(a_stranger, session, as_holder):
    ada = a_stranger()

    assert session(ada.username).access_token
    assert as_holder(ada).get("/users/me").status_code == 200


def test_a_code_is_for_one_use(a_stranger, letters, confirm):
    a_stranger()
    [(_, code)] = letters("user.registered")

    assert confirm(code).status_code == 200
    assert refusal(confirm(code)) == (422, "bad_code")


def test_of_two_uses_at_once_one_counts(a_stranger, letters, confirm):
    a_stranger()
    [(_, code)] = letters("user.registered")

    with ThreadPoolExecutor() as pool:
        statuses = sorted(answer.status_code for answer in pool.map(confirm, [code] * 2))

    assert statuses == [200, 422]


@pytest.mark.parametrize("code", ["0" * 32, "f" * 32])
def test_an_unknown_code_confirms_nothing(a_stranger, confirm, rows, code):
    a_stranger()

    assert refusal(confirm(code)) == (422, "bad_code")
    assert rows("SELECT email_confirmed FROM users") == [(False,)]


@pytest.mark.parametrize("code", ["", "0" * 31, "0" * 33, "G" * 32, None, 5])
def test_what_is_no_code_is_not_valid(confirm, code):
    answer = confirm(code)

    assert refusal(answer) == (422, "invalid")
    assert answer.json["errors"]["json"].keys() == {"code"}
    if code and isinstance(code, str):
        assert "Must match [0-9a-f]{32}." in answer.json["errors"]["json"]["code"]


def test_an_expired_code_confirms_nothing(a_stranger, letters, confirm, rows):
    a_stranger()
    rows("UPDATE email_codes SET expires_at = now()")

    assert refusal(confirm(letters("user.registered")[0][1])) == (422, "bad_code")


def test_a_get_changes_nothing(a_stranger, letters, anonymous, rows):
    a_stranger()
    [(_, code)] = letters("user.registered")

    for path in ("/confirmations", f"/confirmations?code={code}", f"/confirmations/{code}"):
        assert anonymous.get(path).status_code in (404, 405, 422)
    assert rows("SELECT email_confirmed FROM users") == [(False,)]


def test_the_database_holds_no_code(a_stranger, letters, rows):
    a_stranger()
    [(_, code)] = letters("user.registered")

    [(stored,)] = rows("SELECT email_codes::text FROM email_codes")
    assert code not in stored
    assert bytes.fromhex(code).hex() not in stored.replace("\\x", "")


class TestReplacing:
    def test_an_unconfirmed_address_is_replaced_at_once(
        self, a_stranger, as_holder, letters, confirm
    ):
        ada = a_stranger()
        [(_, old_code)] = letters("user.registered")

        answer = as_holder(ada).patch(f"/users/{ada.id}", json={"email": NEW})

        assert email_of(answer.json) == (NEW, False, None)
        [(recipient, code)] = letters("user.confirmation_requested")
        assert recipient == NEW
        assert letters("user.email_change_requested") == []  # no e-mail to whom it may not concern
        assert refusal(confirm(old_code)) == (422, "bad_code")
        assert email_of(confirm(code).json) == (NEW, True, None)

    def test_a_confirmed_address_stays_until_the_new_one_is_confirmed(
        self, changing, as_holder, letters, announced, confirm
    ):
        ada, code = changing
        before = as_holder(ada).get("/users/me").json

        assert email_of(before) == ("ada@example.com", True, NEW)
        assert before["version"] == 2
        assert announced("user.updated") == []
        assert letters("user.email_change_requested") == [("ada@example.com", None)]

        assert email_of(confirm(code).json) == (NEW, True, None)
        [(_, told)] = announced("user.updated")
        assert (told["email"], told["email_confirmed"]) == (NEW, True)

    def test_by_put_likewise(self, a_user, as_holder, letters):
        ada = a_user()

        answer = as_holder(ada).put(f"/users/{ada.id}", json={"email": NEW})

        assert email_of(answer.json) == (ada.email, True, NEW)
        assert len(letters("user.confirmation_requested")) == 1

    def test_another_one_takes_the_place_of_the_pending_one(
        self, changing, as_holder, letters, confirm
    ):
        ada, code = changing

        as_holder(ada).patch(f"/users/{ada.id}", json={"email": "third@example.org"})

        assert refusal(confirm(code)) == (422, "bad_code")
        assert [to for to, _ in letters("user.confirmation_requested")] == [
            NEW,
            "third@example.org",
        ]
        assert len(letters("user.email_change_requested")) == 1

    def test_the_same_one_again_sends_nothing_more(self, changing, as_holder, letters):
        ada, _ = changing

        as_holder(ada).patch(f"/users/{ada.id}", json={"email": NEW, "full_name": "Ada"})

        assert len(letters("user.confirmation_requested")) == 1

    def test_the_present_one_calls_the_pending_one_off(self, changing, as_holder, confirm):
        ada, code = changing

        answer = as_holder(ada).patch(f"/users/{ada.id}", json={"email": "ADA@example.com"})

        assert email_of(answer.json) == ("ADA@example.com", True, None)
        assert refusal(confirm(code)) == (422, "bad_code")

    def test_a_new_password_calls_the_pending_one_off(self, changing, as_holder, confirm):
        ada, code = changing
        change = {"password": "a wholly new password", "current_password": PASSWORD}

        answer = as_holder(ada).patch(f"/users/{ada.id}", json=change)

        assert answer.json["pending_email"] is None
        assert refusal(confirm(code)) == (422, "bad_code")

    def test_a_new_password_and_a_new_address_go_together(self, a_user, as_holder, letters):
        ada = a_user(password=PASSWORD)
        change = {"password": "a wholly new password", "current_password": PASSWORD, "email": NEW}

        answer = as_holder(ada).patch(f"/users/{ada.id}", json=change)

        assert answer.json["pending_email"] == NEW
        assert len(letters("user.confirmation_requested")) == 1

    def test_an_administrator_replaces_it_at_once(self, changing, admin, confirm):
        ada, code = changing

        answer = admin.patch(f"/users/{ada.id}", json={"email": "by-admin@example.org"})

        assert email_of(answer.json) == ("by-admin@example.org", True, None)
        assert refusal(confirm(code)) == (422, "bad_code")


class TestUniqueness:
    @pytest.mark.parametrize("confirmed_first", [True, False])
    def test_anothers_address_is_taken(self, a_user, a_stranger, as_holder, confirmed_first):
        changer = a_user() if confirmed_first else a_stranger()
        for taken in (a_user().email, a_stranger().email.upper()):
            answer = as_holder(changer).patch(f"/users/{changer.id}", json={"email": taken})

            assert refusal(answer) == (409, "email_taken")

    def test_a_pending_one_reserves_nothing(self, changing, a_stranger):
        assert a_stranger(email=NEW).email == NEW

    def test_who_has_it_first_keeps_it(self, changing, a_stranger, confirm, as_holder, admin):
        ada, code = changing
        other = a_stranger(email=NEW.upper())

        assert refusal(confirm(code)) == (409, "email_taken")
        assert email_of(as_holder(ada).get("/users/me").json) == ("ada@example.com", True, NEW)

        admin.delete(f"/users/{other.id}")
        assert email_of(confirm(code).json) == (NEW, True, None)


class TestAskingAgain:
    def test_another_letter_goes_out_and_both_codes_are_good(
        self, a_stranger, as_holder, letters, confirm
    ):
        ada = a_stranger()

        answer = as_holder(ada).post(f"/users/{ada.id}/confirmation")

        assert (answer.status_code, answer.json) == (202, vars(ada))
        [(recipient, code)] = letters("user.confirmation_requested")
        assert recipient == ada.email
        assert confirm(letters("user.registered")[0][1]).status_code == 200
        assert refusal(confirm(code)) == (422, "bad_code")  # used up with the other one

    def test_it_goes_to_the_pending_address(self, changing, as_holder, letters):
        ada, _ = changing

        as_holder(ada).post(f"/users/{ada.id}/confirmation")

        assert [to for to, _ in letters("user.confirmation_requested")] == [NEW, NEW]

    def test_an_address_gets_three_codes_in_half_an_hour(
        self, a_stranger, as_holder, letters, rows
    ):
        ada = a_stranger()

        answers = [as_holder(ada).post(f"/users/{ada.id}/confirmation") for _ in range(4)]

        assert [answer.status_code for answer in answers] == [202, 202, 409, 409]
        assert refusal(answers[-1]) == (409, "codes_sent")
        assert len(letters("user.confirmation_requested")) == 2

        rows("UPDATE email_codes SET created_at = now() - interval '31 minutes'")
        assert as_holder(ada).post(f"/users/{ada.id}/confirmation").status_code == 202

    def test_where_all_is_confirmed_there_is_nothing_to_send(self, a_user, as_holder):
        ada = a_user()

        answer = as_holder(ada).post(f"/users/{ada.id}/confirmation")

        assert refusal(answer) == (409, "nothing_to_confirm")

    def test_others_have_no_letter_sent_but_administrators_do(
        self, a_stranger, as_holder, anonymous, admin, letters
    ):
        ada, eve = a_stranger(), a_stranger()

        assert refusal(as_holder(eve).post(f"/users/{ada.id}/confirmation")) == (404, "not_found")
        assert anonymous.post(f"/users/{ada.id}/confirmation").status_code == 401
        assert letters("user.confirmation_requested") == []
        assert admin.post(f"/users/{ada.id}/confirmation").status_code == 202

    def test_however_often_addresses_change_few_codes_are_kept(self, a_stranger, as_holder, rows):
        ada = a_stranger()

        for number in range(10):
            as_holder(ada).patch(f"/users/{ada.id}", json={"email": f"to{number}@example.org"})

        assert rows("SELECT email FROM email_codes") == [("to9@example.org",)]


def test_expired_codes_are_deleted(users, a_stranger, rows):
    ada = a_stranger()
    rows(
        """
        INSERT INTO email_codes (code_hash, user_id, purpose, email, expires_at)
        SELECT sha256(n::text::bytea), %(user_id)s, 'password_reset', 'x', now() - interval '1 s'
          FROM generate_series(1, 5) AS n
        """,
        user_id=ada.id,
    )

    with users.active():
        retention.clean_up()

    assert rows("SELECT purpose FROM email_codes") == [("confirmation",)]


def test_the_codes_of_a_deleted_user_are_gone(a_stranger, as_holder, letters, confirm, rows):
    ada = a_stranger()

    as_holder(ada).delete(f"/users/{ada.id}")

    assert rows("SELECT count(*) FROM email_codes") == [(0,)]
    assert refusal(confirm(letters("user.registered")[0][1])) == (422, "bad_code")


def test_no_token_is_looked_at(a_stranger, letters, app):
    a_stranger()
    [(_, code)] = letters("user.registered")

    answer = testing.Client(app, "expired").post("/confirmations", json={"code": code})

    assert answer.status_code == 200
