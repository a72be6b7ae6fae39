import hashlib
import json
import threading
from base64 import urlsafe_b64decode
from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher

from chassis import testing
from microservice1.logic import passwords, retention

PASSWORD = "correct horse battery"


def refusal(answer):
    return answer.status_code, answer.json["code"]


def claims(access_token):
    payload = access_token.split(".")[1]
    return json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


@pytest.fixture
def ada(a_user):
    return a_user(username="Ada", password=PASSWORD)


@pytest.fixture
def refresh(app):
    """Returns a function that refreshes a session and returns the answer; threads may call it."""
    return lambda token: testing.Client(app).post("/tokens/refresh", json={"refresh_token": token})


@pytest.fixture
def later(rows):
    """Returns a function: for refresh tokens, so many seconds pass."""
    return lambda seconds: rows(
        "UPDATE sessions SET rotated_at = rotated_at - make_interval(secs => %(seconds)s)",
        seconds=seconds,
    )


@pytest.mark.parametrize("username", ["Ada", "ada", "ADA"])
def test_signing_in_gives_tokens_that_nothing_stores(ada, sign_in, username):
    answer = sign_in(username)

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json.keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 600)


def test_the_access_token_opens_the_account(app, ada, session):
    access_token = session("ada").access_token

    answer = testing.Client(app, access_token).get("/users/me")

    assert answer.json == vars(ada)
    found = claims(access_token)
    assert (found["sub"], found["role"], found["aud"]) == (str(ada.id), "customer", "quartet")
    assert found["exp"] - found["iat"] == 600


def test_of_refresh_tokens_only_hashes_are_stored(ada, session, refresh, rows):
    def stored():
        ((row,),) = rows("SELECT row_to_json(sessions)::text FROM sessions")
        return row

    first = session("ada").refresh_token
    at_first = stored()
    second = refresh(first).json["refresh_token"]

    for token, row in ((first, at_first), (first, stored()), (second, stored())):
        assert hashlib.sha256(token.encode()).hexdigest() in row
        for part in token.split("."):
            assert part not in row
            assert part.encode().hex() not in row


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("Ada", "wrong password"),
        ("nobody", PASSWORD),
        ("no password", PASSWORD),
        ("Ada", PASSWORD + " "),
    ],
)
def test_wrong_credentials_are_refused_without_saying_what_is_wrong(
    ada, a_user, sign_in, rows, username, password
):
    a_user(username="no-password")

    answer = sign_in(username.replace(" ", "-"), password)

    assert refusal(answer) == (401, "bad_credentials")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json["detail"] == "These credentials are not valid"
    assert rows("SELECT count(*) FROM sessions") == [(0,)]


@pytest.mark.parametrize("username", ["nobody", "no-password"])
def test_an_account_that_cannot_log_in_costs_as_much_as_a_wrong_password(
    a_user, sign_in, monkeypatch, username
):
    a_user(username="no-password")
    hashed, work = passwords.hashed, []

    def counted(password):
        work.append(password)
        return hashed(password)

    monkeypatch.setattr(passwords, "hashed", counted)

    assert sign_in(username).status_code == 401
    assert work == [PASSWORD]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "ada"},
        {"username": "ada", "password": ""},
        {"username": "ada", "password": "x" * 129},
        {"username": "ada", "password": None},
        {"username": "a" * 65, "password": PASSWORD},
        {"username": "nul\0", "password": PASSWORD},
        {"username": "ada", "password": PASSWORD, "remember": True},
    ],
)
def test_credentials_of_another_form_are_invalid(anonymous, body):
    assert refusal(anonymous.post("/tokens", json=body)) == (422, "invalid")


def test_more_logins_than_fit_at_once_are_asked_to_come_again(ada, sign_in, monkeypatch):
    monkeypatch.setattr(passwords, "_places", threading.BoundedSemaphore(1))
    monkeypatch.setattr(passwords, "WAIT_SECONDS", 0.01)

    with passwords._place():
        answer = sign_in("ada")

    assert refusal(answer) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert sign_in("ada").status_code == 200


def test_a_login_renews_a_hash_of_other_days(ada, sign_in, rows, databases, admin):
    outdated = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    rows("UPDATE users SET password_hash = %(hash)s RETURNING id", hash=outdated)

    assert sign_in("ada").status_code == 200

    ((stored,),) = rows("SELECT password_hash FROM users WHERE id = %(id)s", id=ada.id)
    assert stored != outdated
    assert not passwords.is_outdated(stored)
    assert sign_in("ada").status_code == 200
    assert admin.get(f"/users/{ada.id}").json == vars(ada)


def test_a_password_that_changes_during_a_login_opens_no_session(
    ada, sign_in, admin, monkeypatch, rows
):
    def outdated(_password_hash):
        monkeypatch.undo()
        admin.patch(f"/users/{ada.id}", json={"password": "set by the admin"})
        return False

    monkeypatch.setattr(passwords, "is_outdated", outdated)

    assert refusal(sign_in("ada")) == (401, "bad_credentials")
    assert rows("SELECT count(*) FROM sessions") == [(0,)]


def test_two_logins_that_renew_the_same_hash_both_succeed(ada, sign_in, monkeypatch, rows):
    outdated = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    rows("UPDATE users SET password_hash = %(hash)s RETURNING id", hash=outdated)
    others = []

    def another_comes_first(_password_hash):
        monkeypatch.undo()
        others.append(sign_in("ada").status_code)
        return True

    monkeypatch.setattr(passwords, "is_outdated", another_comes_first)

    assert sign_in("ada").status_code == 200
    assert others == [200]


def test_a_refresh_gives_new_tokens_again_and_again(ada, session, refresh):
    opened = session("ada")
    tokens = [opened.refresh_token]
    for _ in range(5):
        answer = refresh(tokens[-1])

        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.json.keys() == vars(opened).keys()
        assert answer.json["access_token"] != opened.access_token
        assert claims(answer.json["access_token"])["sub"] == str(ada.id)
        tokens.append(answer.json["refresh_token"])

    assert len(set(tokens)) == 6


def test_a_session_ends_30_days_after_it_began_however_often_it_is_refreshed(
    ada, session, refresh, rows
):
    days = "SELECT round(extract(epoch FROM expires_at - now()) / 86400) FROM sessions"
    token = session("ada").refresh_token
    assert rows(days) == [(30,)]
    rows("UPDATE sessions SET expires_at = expires_at - interval '29 days'")

    token = refresh(token).json["refresh_token"]

    assert rows(days) == [(1,)]
    rows("UPDATE sessions SET expires_at = expires_at - interval '1 day'")
    assert refusal(refresh(token)) == (401, "bad_credentials")


def test_whose_answer_was_lost_can_ask_again(ada, session, refresh, later):
    first = session("ada").refresh_token
    lost = refresh(first).json["refresh_token"]
    later(9)

    answer = refresh(first)

    assert answer.status_code == 200
    assert answer.json["refresh_token"] not in (first, lost)
    assert refresh(answer.json["refresh_token"]).status_code == 200


def test_asking_again_does_not_make_the_time_longer(ada, session, refresh, later):
    first = session("ada").refresh_token
    refresh(first)
    later(6)
    second = refresh(first).json["refresh_token"]
    later(6)

    assert refusal(refresh(first)) == (401, "bad_credentials")
    assert refusal(refresh(second)) == (401, "bad_credentials")


def test_a_token_that_is_used_after_its_time_ends_the_session(
    ada, session, refresh, later, rows, caplog
):
    other = session("ada").refresh_token
    stolen = session("ada").refresh_token
    fresh = refresh(stolen).json["refresh_token"]
    later(11)

    answer = refresh(stolen)

    assert refusal(answer) == (401, "bad_credentials")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert refusal(refresh(fresh)) == (401, "bad_credentials")
    assert refresh(other).status_code == 200
    assert rows("SELECT count(*) FROM sessions") == [(1,)]
    assert [
        (line.message, line.user_id) for line in caplog.records if line.levelname == "WARNING"
    ] == [("a refresh token was used again", ada.id)]


@pytest.mark.parametrize("uses_since", [2, 3, 10])
def test_a_token_older_than_the_previous_one_ends_the_session_at_once(
    ada, session, refresh, uses_since
):
    first = token = session("ada").refresh_token
    for _ in range(uses_since):
        token = refresh(token).json["refresh_token"]

    assert refusal(refresh(first)) == (401, "bad_credentials")
    assert refusal(refresh(token)) == (401, "bad_credentials")


def test_two_ways_of_one_session_do_not_both_go_on(ada, session, refresh, later):
    first = session("ada").refresh_token
    ours, theirs = (refresh(first).json["refresh_token"] for _ in range(2))
    later(600)
    ours = refresh(ours).json["refresh_token"]
    later(600)

    assert refusal(refresh(theirs)) == (401, "bad_credentials")
    assert refusal(refresh(ours)) == (401, "bad_credentials")


def test_an_invented_secret_ends_the_session_whose_key_it_bears(ada, session, refresh):
    token = session("ada").refresh_token
    key = token.partition(".")[0]

    assert refusal(refresh(f"{key}.invented")) == (401, "bad_credentials")
    assert refusal(refresh(token)) == (401, "bad_credentials")


def test_refreshes_at_once_all_succeed_and_what_they_give_works(ada, session, refresh, rows):
    for _ in range(5):
        first = session("ada").refresh_token
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(refresh, [first] * 4))

        assert [answer.status_code for answer in answers] == [200] * 4
        successors = {answer.json["refresh_token"] for answer in answers}
        assert len(successors) == 4
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(refresh, successors))
        assert [answer.status_code for answer in answers] == [200] * 4
        assert refusal(refresh(first)) == (401, "bad_credentials")


def test_a_refresh_while_the_password_changes_leaves_no_session_open(
    ada, admin, session, refresh, rows
):
    def change_password():
        return admin.patch(f"/users/{ada.id}", json={"password": PASSWORD}).status_code

    for _ in range(5):
        tokens = [session("ada").refresh_token]
        with ThreadPoolExecutor(2) as threads:
            changed = threads.submit(change_password)
            while not changed.done():
                answer = refresh(tokens[-1])
                if answer.status_code == 200:
                    tokens.append(answer.json["refresh_token"])

        assert changed.result() == 200
        assert refusal(refresh(tokens[-1])) == (401, "bad_credentials")
        assert rows("SELECT count(*) FROM sessions") == [(0,)]


def test_a_session_takes_no_more_room_however_often_it_is_refreshed(ada, session, refresh, rows):
    token = session("ada").refresh_token
    for _ in range(5):
        refresh(token)
        token = refresh(token).json["refresh_token"]

    kept = rows("SELECT cardinality(current_hashes), cardinality(previous_hashes) FROM sessions")
    assert kept == [(2, 2)]


def test_sessions_of_one_user_are_apart(ada, anonymous, session, refresh):
    phone, laptop = session("ada"), session("ada")

    anonymous.delete("/tokens", json={"refresh_token": phone.refresh_token})

    assert refusal(refresh(phone.refresh_token)) == (401, "bad_credentials")
    assert refresh(laptop.refresh_token).status_code == 200


def test_an_unknown_or_expired_refresh_token_is_refused(users, ada, session, refresh, rows):
    opened = session("ada")
    rows("UPDATE sessions SET expires_at = now()")

    for token in (opened.refresh_token, "never-given", "\u00e4"):
        answer = refresh(token)
        assert refusal(answer) == (401, "bad_credentials")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_signing_out_ends_the_session_with_any_of_its_tokens(
    ada, anonymous, session, refresh, later
):
    for given in (0, 1, 2):
        tokens = [session("ada").refresh_token]
        for _ in range(2):
            tokens.append(refresh(tokens[-1]).json["refresh_token"])
        later(11)

        answer = anonymous.delete("/tokens", json={"refresh_token": tokens[given]})

        assert answer.status_code == 204
        assert refusal(refresh(tokens[-1])) == (401, "bad_credentials")


def test_signing_out_twice_or_with_an_unknown_token_is_fine(ada, anonymous, session):
    token = session("ada").refresh_token

    for given in (token, token, "never-given"):
        assert anonymous.delete("/tokens", json={"refresh_token": given}).status_code == 204


@pytest.mark.parametrize("body", [{}, {"refresh_token": ""}, {"refresh_token": 7}, {"token": "x"}])
def test_a_refresh_token_of_another_form_is_invalid(anonymous, body):
    for answer in (
        anonymous.post("/tokens/refresh", json=body),
        anonymous.delete("/tokens", json=body),
    ):
        assert refusal(answer) == (422, "invalid")


@pytest.mark.parametrize(
    "change",
    [
        {"password": "a wholly new password"},
        {"password": PASSWORD},
        {"role": "admin"},
    ],
)
def test_another_password_or_role_ends_all_sessions(ada, admin, session, refresh, change):
    tokens = [session("ada").refresh_token for _ in range(2)]
    tokens.append(refresh(tokens[0]).json["refresh_token"])

    admin.patch(f"/users/{ada.id}", json=change)

    for token in tokens:
        assert refusal(refresh(token)) == (401, "bad_credentials")


def test_other_changes_leave_sessions_open(ada, a_user, admin, session, refresh):
    token = session("ada").refresh_token

    admin.patch(f"/users/{ada.id}", json={"username": "ada2", "role": "customer"})
    a_user(username="bob", password=PASSWORD)
    admin.patch("/users/2", json={"password": "a wholly new password"})

    assert refresh(token).status_code == 200


def test_deleting_the_account_ends_all_sessions(ada, admin, session, refresh, sign_in):
    token = session("ada").refresh_token

    admin.delete(f"/users/{ada.id}")

    assert refusal(refresh(token)) == (401, "bad_credentials")
    assert refusal(sign_in("ada")) == (401, "bad_credentials")


def test_a_refresh_gives_the_role_that_the_user_has_now(ada, session, refresh, rows):
    token = session("ada").refresh_token
    rows("UPDATE users SET role = 'admin' RETURNING id")

    assert claims(refresh(token).json["access_token"])["role"] == "admin"


def test_housekeeping_forgets_expired_tokens_only(users, ada, session, refresh, rows):
    session("ada")
    rows("UPDATE sessions SET expires_at = now()")
    kept = session("ada").refresh_token

    with users.active():
        retention.clean_up()

    assert rows("SELECT count(*) FROM sessions") == [(1,)]
    assert refresh(kept).status_code == 200


def test_no_log_line_holds_a_name_an_address_or_a_secret(anonymous, sign_in, caplog):
    caplog.set_level("DEBUG")
    body = {"username": "Ada", "email": "ada@example.com", "full_name": "Lovelace"}
    anonymous.post("/users", json={**body, "password": PASSWORD})
    token = sign_in("Ada").json["refresh_token"]
    sign_in("Ada", "a wrong password")
    anonymous.post("/tokens/refresh", json={"refresh_token": token})
    anonymous.get("/user/Ada")

    logged = " ".join(str(vars(record)) for record in caplog.records)

    assert "/user/<username>" in logged
    for private in ("Ada", "ada@", "Lovelace", PASSWORD, "a wrong password", token):
        assert private not in logged
