"""What the audit log says of administrators who sign in, and of who fails to."""

import pytest

from chassis import testing
from microservice1.logic import guessing

PASSWORD = "correct horse battery"


@pytest.fixture
def root(a_user):
    return a_user(username="root", role="admin", password=PASSWORD)


@pytest.fixture
def audited(admin):
    """Returns a function: (actor, action, subject, count) of the entries about signing in."""

    def entries():
        return [
            (entry["actor"], entry["action"], entry["subject"], entry["count"])
            for entry in admin.get("/audit?limit=100").json
            if entry["action"] in ("signed_in", "sign_in_failed")
        ]

    return entries


@pytest.fixture
def fail(app):
    """Returns a function that tries to sign in with a wrong password."""

    def wrong(username, address, request_id="a-request"):
        return testing.Client(app, address=address).post(
            "/tokens",
            json={"username": username, "password": "wrong"},
            headers={"X-Request-ID": request_id},
        )

    return wrong


@pytest.fixture
def an_hour_later(users, rows):
    """Returns a function: the hour ends, and the worker does what it does then."""

    def end():
        rows("UPDATE failed_sign_ins SET hour = hour - interval '1 hour'")
        with users.active():
            guessing.enter_failed_sign_ins()

    return end


def test_a_sign_in_of_an_administrator_is_an_entry(root, a_user, sign_in, audited):
    ada = a_user(password=PASSWORD)

    assert sign_in("root").status_code == sign_in(ada.username).status_code == 200

    assert audited() == [(f"user:{root.id}", "signed_in", f"user/{root.id}", 1)]


def test_failures_of_an_hour_are_one_entry_for_each_account_and_address(
    root, a_user, fail, audited, an_hour_later, admin
):
    a_user(username="ada", password=PASSWORD)
    for number in range(3):
        fail("root", "203.0.113.7", f"request-{number}")
    fail("ROOT", "2001:db8:1:2::5")
    fail("ada", "203.0.113.7")
    fail("nobody", "203.0.113.7")
    assert audited() == []  # the hour has not ended

    an_hour_later()
    an_hour_later()

    assert sorted(audited()) == [
        ("address:2001:db8:1:2::/64", "sign_in_failed", f"user/{root.id}", 1),
        ("address:203.0.113.7", "sign_in_failed", f"user/{root.id}", 3),
    ]
    entry = admin.get("/audit?actor=address:203.0.113.7").json[0]
    assert entry["request_id"] == "request-2"


def test_a_current_password_that_is_wrong_is_no_sign_in_of_an_administrator(
    a_user, as_holder, audited, an_hour_later
):
    ada = a_user(password=PASSWORD)
    as_holder(ada).patch(f"/users/{ada.id}", json={"password": "x" * 9, "current_password": "y"})
    an_hour_later()

    assert audited() == []


def test_an_hour_has_at_most_a_hundred_entries(root, fail, audited, an_hour_later, rows):
    rows(
        """
        INSERT INTO failed_sign_ins (hour, user_id, address, failures, request_id)
        SELECT date_trunc('hour', now()), %(id)s, '192.0.2.' || n, 2, 'a-request'
          FROM generate_series(1, 99) AS n
        """,
        id=root.id,
    )
    for address in ("203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.1"):
        fail("root", address)

    assert rows("SELECT count(*) FROM failed_sign_ins") == [(100,)]
    an_hour_later()
    entries = audited()
    assert len(entries) == 100
    assert ("address:203.0.113.1", "sign_in_failed", f"user/{root.id}", 2) in entries
    assert rows("SELECT count(*) FROM failed_sign_ins") == [(0,)]
