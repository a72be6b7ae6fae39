import pytest

from chassis import testing
from microservice1 import commands

PASSWORD = "correct horse battery"


@pytest.fixture
def run(app, commands_of):
    return commands_of(commands)


def test_an_admin_is_created_who_can_sign_in(run, sign_in, admin):
    code, said, _ = run("create-admin", "root", "root@example.com", stdin=PASSWORD + "\n")

    assert (code, said) == (0, "created the administrator root")
    assert sign_in("root").status_code == 200
    assert admin.get("/user/root").json["role"] == "admin"


def test_an_admin_who_exists_stays_as_they_are(run, sign_in, rows):
    run("create-admin", "root", "root@example.com", stdin=PASSWORD)

    code, said, _ = run("create-admin", "ROOT", "other@example.com", stdin="another password")

    assert (code, said) == (0, "root exists, with the role admin: nothing was changed")
    assert sign_in("root").status_code == 200
    assert rows("SELECT email, version FROM users") == [("root@example.com", 1)]


@pytest.mark.parametrize(
    ("username", "email", "password", "complaint"),
    [
        ("root", "ADA@example.com", PASSWORD, "Another account has this e-mail address"),
        ("root", "root@example.com", "short", "password: Length must be between 8 and 128."),
        ("root", "root@example.com", "", "password: Length must be between 8 and 128."),
        ("root", "nowhere", PASSWORD, "email: Must contain @."),
        (
            "the root",
            "root@example.com",
            PASSWORD,
            "username: Must match [A-Za-z0-9_][A-Za-z0-9._-]*.",
        ),
    ],
)
def test_an_admin_who_cannot_be_is_not_created(
    run, a_user, rows, username, email, password, complaint
):
    a_user(email="ada@example.com")

    assert run("create-admin", username, email, stdin=password) == (1, "", complaint)
    assert rows("SELECT count(*) FROM users WHERE username <> 'administrator'") == [(1,)]


def test_a_token_is_printed_and_opens_the_account(run, app, a_user):
    ada = a_user(username="Ada", role="admin")

    code, said, complained = run("token", "ada")

    assert (code, complained) == (0, "")
    assert testing.Client(app, said).get("/users/me").json == vars(ada)
    assert testing.Client(app, said).get("/users").status_code == 200


def test_there_is_no_token_for_nobody(run):
    assert run("token", "nobody") == (1, "", "there is no user nobody")


def test_a_missing_setting_is_named(run, monkeypatch):
    monkeypatch.delenv("JWKS_FILE")

    code, _, complained = run("token", "ada")

    assert code == 1
    assert "JWKS_FILE" in complained


def test_whether_there_is_an_admin_is_told(run):
    assert run("has-admin") == (0, "no", "")

    run("create-admin", "root", "root@example.com", stdin=PASSWORD)

    assert run("has-admin") == (0, "yes", "")


def test_a_new_password_ends_all_sessions_and_is_audited(run, a_user, sign_in, app, admin, rows):
    ada = a_user(username="Ada", password=PASSWORD)
    tokens = sign_in("ada").json
    rows("UPDATE users SET pending_email = 'thief@example.com' WHERE username = 'Ada'")

    code, said, complained = run("reset-password", "ada", stdin="a wholly new password\n")

    assert (code, complained) == (0, "")
    assert said == "Ada has the new password, and has to sign in again everywhere"
    assert "a wholly new password" not in said
    assert sign_in("ada").status_code == 401
    assert sign_in("ada", "a wholly new password").status_code == 200
    refreshed = testing.Client(app).post(
        "/tokens/refresh", json={"refresh_token": tokens["refresh_token"]}
    )
    assert refreshed.status_code == 401
    account = "SELECT token_epoch > 0, pending_email FROM users WHERE username = 'Ada'"
    assert rows(account) == [(True, None)]
    entry = admin.get("/audit?actor=operator").json[0]
    assert (entry["action"], entry["subject"]) == ("password.reset", f"user/{ada.id}")
    assert entry["request_id"]


@pytest.mark.parametrize(
    ("username", "password", "complaint"),
    [
        ("nobody", "a wholly new password", "there is no user nobody"),
        ("ada", "short", "password: Length must be between 8 and 128."),
        ("ada", "", "password: Length must be between 8 and 128."),
    ],
)
def test_a_password_that_cannot_be_set_leaves_the_present_one(
    run, a_user, sign_in, username, password, complaint
):
    a_user(username="ada", password=PASSWORD)

    assert run("reset-password", username, stdin=password) == (1, "", complaint)
    assert sign_in("ada").status_code == 200


def test_what_an_operator_does_is_audited(run, admin):
    run("create-admin", "root", "root@example.com", stdin=PASSWORD)

    assert [entry["action"] for entry in admin.get("/audit?actor=operator").json] == [
        "user.registered"
    ]
