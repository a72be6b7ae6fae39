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
        ("root", "nowhere", PASSWORD, "email: Not a valid email address."),
        ("the root", "root@example.com", PASSWORD, "username: Must match [A-Za-z0-9._-]+."),
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
