"""A new password, another role, a deleted account: what was issued before is void."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from chassis import testing
from chassis.database import transaction
from chassis.retention import AT_ONCE
from chassis.revocations import Revocations
from microservice1 import database
from microservice1.logic import retention, sessions

PASSWORD = "correct horse battery"
NEW_PASSWORD = "a wholly new password"
LETTER = 900
MANY_SESSIONS = 2500  # more than one statement deletes


def refusal(answer):
    return answer.status_code, answer.json["code"]


@pytest.fixture
def signed_in(app, a_user, session):
    """Returns a function that registers a user, signs in, and returns user and client."""

    def user(role="customer"):
        found = a_user(role=role, password=PASSWORD)
        return found, testing.Client(app, session(found.username).access_token)

    return user


@pytest.fixture
def listed(users_list):
    """Returns a function: what each of the other services is told."""
    return lambda: users_list.get("/internal/revocations").json["epochs"]


@pytest.fixture(params=["products_service", "orders_service", "notifications_service"])
def users_list(request):
    return request.getfixturevalue(request.param)


ENDINGS = {
    "a new password": lambda admin, path: admin.patch(path, json={"password": NEW_PASSWORD}),
    "another role": lambda admin, path: admin.patch(path, json={"role": "customer"}),
    "no account": lambda admin, path: admin.delete(path),
}
ADMIN_WRITES = {
    "register": lambda client, _: client.post(
        "/users", json={"username": "eve", "email": "eve@example.com", "role": "admin"}
    ),
    "edit another": lambda client, other: client.patch(
        f"/users/{other}", json={"password": "taken over by me"}
    ),
    "replace another": lambda client, other: client.put(
        f"/users/{other}", json={"email": "eve@example.com"}
    ),
    "demote another": lambda client, other: client.patch(
        f"/users/{other}", json={"role": "customer"}
    ),
    "delete another": lambda client, other: client.delete(f"/users/{other}"),
    "give points": lambda client, other: client.post(
        f"/users/{other}/points", json={"points": 5, "reason": "Why not"}
    ),
    "promote": lambda client, other: client.put(f"/users/{other}/promotion"),
    "replay a letter": lambda client, _: client.post(f"/dead-letters/{LETTER}/replay"),
    "discard a letter": lambda client, _: client.delete(f"/dead-letters/{LETTER}"),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("write", ADMIN_WRITES)
def test_a_former_administrator_writes_nothing(
    admin, a_user, signed_in, rows, ending, write, databases, app
):
    user, former = signed_in("admin")
    other = a_user(username="other", role="admin")
    rows(
        """
        INSERT INTO outbox (id, lane, subject, message, request_id, state, last_error)
        OVERRIDING SYSTEM VALUE
        VALUES (%(id)s, 'microservice4', 'order/1', '{"id": "x"}', 'request', 'dead', 'refused')
        """,
        id=LETTER,
    )
    assert ENDINGS[ending](admin, f"/users/{user.id}").status_code in (200, 204)
    before = rows("SELECT * FROM users ORDER BY id"), rows("SELECT id, state FROM outbox")

    answer = ADMIN_WRITES[write](former, other.id)

    assert refusal(answer) == (401, "token_expired")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    after = rows("SELECT * FROM users ORDER BY id"), rows("SELECT id, state FROM outbox")
    assert after == before


def test_a_demoted_administrator_does_not_promote_himself(admin, signed_in):
    user, former = signed_in("admin")
    admin.patch(f"/users/{user.id}", json={"role": "customer"})

    answer = former.patch(f"/users/{user.id}", json={"role": "admin"})

    assert refusal(answer) == (401, "token_expired")
    assert admin.get(f"/users/{user.id}").json["role"] == "customer"


def test_nor_while_the_demotion_is_being_committed(signed_in, overtaken, rows):
    user, former = signed_in("admin")

    answer = overtaken(
        f"UPDATE users SET role = 'customer', token_epoch = 1 WHERE id = {user.id}",
        lambda: former.patch(f"/users/{user.id}", json={"role": "admin"}),
    )

    assert refusal(answer) == (401, "token_expired")
    assert rows("SELECT role FROM users WHERE id = %(id)s", id=user.id) == [("customer",)]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_stolen_token_edits_nothing_after_the_password_has_changed(admin, signed_in, method):
    user, thief = signed_in()
    admin.patch(f"/users/{user.id}", json={"password": NEW_PASSWORD})
    body = {} if method == "DELETE" else {"json": {"email": "thief@example.com"}}

    assert refusal(thief.open(method, f"/users/{user.id}", **body)) == (401, "token_expired")
    assert admin.get(f"/users/{user.id}").json["email"] == user.email


def test_what_is_issued_at_once_afterwards_is_valid(admin, signed_in, session, app):
    user, _ = signed_in("admin")
    admin.patch(f"/users/{user.id}", json={"password": NEW_PASSWORD})

    anew = testing.Client(app, session(user.username, NEW_PASSWORD).access_token)

    assert anew.patch(f"/users/{user.id}", json={"full_name": "Ada"}).status_code == 200


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_services_are_told_whose_tokens_are_void(admin, signed_in, listed, ending):
    user, _ = signed_in("admin")
    signed_in()
    assert listed() == {}

    ENDINGS[ending](admin, f"/users/{user.id}")

    assert listed() == {str(user.id): 1}


def test_other_changes_end_nothing(admin, signed_in, orders_service):
    user, holder = signed_in()
    admin.patch(f"/users/{user.id}", json={"username": "renamed", "role": "customer"})
    admin.post(f"/users/{user.id}/points", json={"points": 60, "reason": "A late parcel"})

    assert orders_service.get("/internal/revocations").json == {"epochs": {}}
    assert holder.patch(f"/users/{user.id}", json={"full_name": "Ada"}).status_code == 200


def test_a_revocation_is_listed_for_longer_than_any_token_lasts(
    users, admin, signed_in, orders_service, rows
):
    user, _ = signed_in()
    for epoch in (1, 2):
        admin.patch(f"/users/{user.id}", json={"password": NEW_PASSWORD})
        rows("UPDATE revocations SET revoked_at = revoked_at - interval '605 s'")
        listed = orders_service.get("/internal/revocations").json["epochs"]
        assert listed == {str(user.id): epoch}

    rows("UPDATE revocations SET revoked_at = revoked_at - interval '60 s'")
    assert orders_service.get("/internal/revocations").json["epochs"] == {}
    with users.active():
        retention.clean_up()
    assert rows("SELECT count(*) FROM revocations") == [(0,)]


def test_users_writes_the_list_for_itself(users, admin, signed_in, tmp_path, monkeypatch):
    user, _ = signed_in()
    file = tmp_path / "revocations.json"
    monkeypatch.setattr(users, "revocations", Revocations(file))
    admin.patch(f"/users/{user.id}", json={"password": NEW_PASSWORD})

    with users.active():
        sessions.keep_revocations()

    assert Revocations(file).epoch_of(user.id) == 1


def test_of_many_sign_ins_the_50_newest_sessions_stay(a_user, session, rows, app):
    user = a_user(password=PASSWORD)
    a_user(username="bob", password=PASSWORD)
    opened = [session(user.username).refresh_token for _ in range(2)]
    session("bob")
    rows(
        """
        INSERT INTO sessions (key_hash, user_id, current_hashes, expires_at)
        SELECT int4send(n), %(id)s, '{}', now() + interval '1 day' FROM generate_series(1, 49) AS n
        """,
        id=user.id,
    )

    newest = session(user.username).refresh_token

    count = "SELECT count(*) FROM sessions WHERE user_id = %(id)s"
    assert rows(count, id=user.id) == [(50,)]
    statuses = [
        testing.Client(app).post("/tokens/refresh", json={"refresh_token": token}).status_code
        for token in (*opened, newest)
    ]
    assert statuses == [401, 401, 200]
    assert rows("SELECT count(*) FROM sessions WHERE user_id <> %(id)s", id=user.id) == [(1,)]


@pytest.fixture
def crowded(a_user, session, rows):
    """A user who has MANY_SESSIONS, the oldest with a known token."""
    user = a_user(role="admin", password=PASSWORD)
    user.oldest = session(user.username).refresh_token
    rows(
        """
        INSERT INTO sessions (key_hash, user_id, current_hashes, expires_at)
        SELECT int4send(n), %(id)s, '{}', now() + interval '1 day'
          FROM generate_series(1, %(sessions)s) AS n
        """,
        id=user.id,
        sessions=MANY_SESSIONS,
    )
    return user


@pytest.mark.parametrize("ending", ENDINGS)
def test_however_many_sessions_there_are_all_end(admin, crowded, rows, ending, anonymous):
    left = rows("SELECT count(*) FROM sessions")[0][0]

    assert ENDINGS[ending](admin, f"/users/{crowded.id}").status_code in (200, 204)

    assert rows("SELECT count(*) FROM sessions") == [(left - sessions.DELETED_AT_ONCE,)]
    refused = anonymous.post("/tokens/refresh", json={"refresh_token": crowded.oldest})
    assert refusal(refused) == (401, "bad_credentials")


def test_each_sign_in_deletes_a_piece_of_what_is_too_many(crowded, session, rows):
    before = rows("SELECT count(*) FROM sessions")[0][0]

    session(crowded.username)

    left = max(50, before + 1 - sessions.DELETED_AT_ONCE)
    assert rows("SELECT count(*) FROM sessions") == [(left,)]


def test_expired_sessions_are_deleted_in_pieces(users, crowded, session, rows):
    """A statement has a second: so many that one takes no more than that."""
    rows("UPDATE sessions SET expires_at = now()")
    session(crowded.username)
    expired = rows("SELECT count(*) FROM sessions WHERE expires_at <= now()")[0][0]

    with users.active():
        with transaction() as tx:
            assert database.SESSIONS.delete_due(tx, "0 seconds") == AT_ONCE < expired
        retention.clean_up()

    assert rows("SELECT count(*) FROM sessions") == [(1,)]


def test_a_refresh_at_the_moment_of_the_change_leaves_no_valid_session(
    admin, signed_in, session, anonymous
):
    user, _ = signed_in()
    for _ in range(3):
        token = session(user.username).refresh_token
        with ThreadPoolExecutor(2) as threads:
            changed = threads.submit(admin.patch, f"/users/{user.id}", json={"password": PASSWORD})
            refreshed = threads.submit(
                anonymous.post, "/tokens/refresh", json={"refresh_token": token}
            )
        assert changed.result().status_code == 200
        if refreshed.result().status_code == 200:
            token = refreshed.result().json["refresh_token"]
        again = anonymous.post("/tokens/refresh", json={"refresh_token": token})
        assert refusal(again) == (401, "bad_credentials")
