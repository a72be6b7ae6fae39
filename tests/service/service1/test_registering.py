import pytest

from chassis import testing
from microservice1.app import create_app

ADA = {"username": "Ada", "email": "Ada@Example.com"}


def refusal(answer):
    return answer.status_code, answer.json["code"]


def test_anyone_registers_and_is_told_where_the_account_is(anonymous):
    answer = anonymous.post("/users", json={**ADA, "full_name": "Ada Lovelace"})

    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/service1/users/{answer.json['id']}"
    created_at = answer.json["created_at"]
    assert created_at.endswith("Z")
    assert answer.json == {
        "id": 1,
        "username": "Ada",
        "email": "Ada@Example.com",
        "email_confirmed": False,
        "pending_email": None,
        "full_name": "Ada Lovelace",
        "role": "customer",
        "points": 0,
        "points_balance": 0,
        "status": "Bronze",
        "version": 1,
        "created_at": created_at,
        "updated_at": created_at,
    }


def test_the_short_form_registers_too_and_gives_the_same_address(anonymous):
    answer = anonymous.post("/user", json=ADA)

    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/service1/users/{answer.json['id']}"
    assert answer.json["username"] == "Ada"


def test_notifications_hear_of_a_new_user_with_name_and_address(admin, announced):
    admin.post("/users", json={**ADA, "password": "correct horse battery"})

    assert announced() == [
        (
            "user.registered",
            {
                "user_id": 1,
                "username": "Ada",
                "email": "Ada@Example.com",
                "email_confirmed": True,
                "full_name": None,
                "status": "Bronze",
                "version": 1,
            },
        )
    ]


@pytest.mark.parametrize(
    ("second", "code"),
    [
        ({"username": "aDA", "email": "other@example.com"}, "username_taken"),
        ({"username": "other", "email": "aDA@eXAMPLE.com"}, "email_taken"),
    ],
)
def test_a_name_or_address_is_taken_in_any_case(anonymous, rows, announced, second, code):
    anonymous.post("/users", json=ADA)

    assert refusal(anonymous.post("/users", json=second)) == (409, code)
    assert rows("SELECT count(*) FROM users") == [(1,)]
    assert len(announced()) == 1


def test_an_admin_gives_a_role_and_points_that_count_from_the_first_day(admin, rows, announced):
    answer = admin.post("/users", json={**ADA, "role": "admin", "points": 101})

    found = answer.json
    assert (found["role"], found["points"], found["points_balance"]) == ("admin", 101, 101)
    assert (found["status"], found["version"]) == ("Gold", 1)
    assert rows("SELECT kind, points, balance FROM points_entries") == [("opening", 101, 101)]
    assert [event for event, _ in announced()] == ["user.registered"]


@pytest.mark.parametrize("field", [{"role": "customer"}, {"role": "admin"}, {"points": 0}])
@pytest.mark.parametrize("path", ["/users", "/user"])
def test_nobody_but_an_admin_may_give_a_role_or_points(
    anonymous, customer, orders_service, rows, path, field
):
    for caller in (anonymous, customer, orders_service):
        assert refusal(caller.post(path, json={**ADA, **field})) == (403, "forbidden")
    assert rows("SELECT count(*) FROM users WHERE username <> 'administrator'") == [(0,)]


class TestWhereOnlyAdminsRegister:
    @pytest.fixture
    def app(self, databases, own_url, keys):
        testing.empty_database(databases("microservice1"))
        return create_app(
            testing.make_service(
                "microservice1", own_url("microservice1"), keys, registration="admin"
            )
        )

    def test_a_stranger_is_asked_to_sign_in(self, anonymous):
        answer = anonymous.post("/users", json=ADA)

        assert refusal(answer) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"

    def test_a_customer_and_a_service_are_refused(self, customer, orders_service):
        for caller in (customer, orders_service):
            assert refusal(caller.post("/users", json=ADA)) == (403, "forbidden")

    def test_an_admin_registers(self, admin):
        assert admin.post("/user", json=ADA).status_code == 201


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"username", "email"}),
        ({**ADA, "username": ""}, {"username"}),
        ({**ADA, "username": "a" * 65}, {"username"}),
        ({**ADA, "username": "ada lovelace"}, {"username"}),
        ({**ADA, "username": "ada\n"}, {"username"}),
        ({**ADA, "username": "ad\u00e4"}, {"username"}),
        ({**ADA, "username": None}, {"username"}),
        ({**ADA, "username": 7}, {"username"}),
        ({**ADA, "username": ["ada"]}, {"username"}),
        ({**ADA, "email": "nobody"}, {"email"}),
        ({**ADA, "email": "ada@example.com\n"}, {"email"}),
        ({**ADA, "email": "a" * 250 + "@b.de"}, {"email"}),
        ({**ADA, "password": "short"}, {"password"}),
        ({**ADA, "password": "x" * 129}, {"password"}),
        ({**ADA, "password": "nul\0nul\0nul"}, {"password"}),
        ({**ADA, "password": None}, {"password"}),
        ({**ADA, "full_name": "x" * 201}, {"full_name"}),
        ({**ADA, "full_name": "nul\0"}, {"full_name"}),
        ({**ADA, "role": "emperor"}, {"role"}),
        ({**ADA, "points": -1}, {"points"}),
        ({**ADA, "points": 1_000_001}, {"points"}),
        ({**ADA, "points": 1.5}, {"points"}),
        ({**ADA, "points": "5"}, {"points"}),
        ({**ADA, "points": True}, {"points"}),
        ({**ADA, "status": "Gold"}, {"status"}),
        ({**ADA, "id": 5}, {"id"}),
    ],
)
def test_bad_fields_are_named_and_nothing_is_stored(admin, rows, body, wrong):
    answer = admin.post("/users", json=body)

    assert refusal(answer) == (422, "invalid")
    assert answer.json["errors"]["json"].keys() == wrong
    assert rows("SELECT count(*) FROM users WHERE username <> 'administrator'") == [(0,)]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b"{", 400, "malformed_json"),
        (
            b'{"username": "ada", "username": "bob", "email": "a@example.com"}',
            400,
            "malformed_json",
        ),
        (b'{"username": "ad\xe4"}', 400, "malformed_json"),
        (b"[]", 422, "invalid"),
        (b'"ada"', 422, "invalid"),
        (b"null", 422, "invalid"),
        (
            b'{"username": "ada", "email": "ada@example.com", "full_name": "\\ud800"}',
            422,
            "invalid",
        ),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(anonymous, body, status, code):
    answer = anonymous.post("/users", data=body, content_type="application/json")

    assert refusal(answer) == (status, code)


def test_an_answer_never_holds_a_password(anonymous):
    answer = anonymous.post("/users", json={**ADA, "password": "correct horse battery"})

    assert "password" not in answer.text
    assert "argon2" not in answer.text


def test_the_longest_of_everything_is_accepted(anonymous):
    body = {
        "username": "aZ09._-" + "x" * 57,
        "email": f"{'a' * 64}@{'b' * 61}.{'c' * 61}.{'d' * 61}.com"[:254],
        "password": "\u00e4" * 128,
        "full_name": "\u00e4" * 200,
    }

    answer = anonymous.post("/users", json=body)

    assert answer.status_code == 201, answer.text
    assert answer.json["full_name"] == body["full_name"]


@pytest.mark.parametrize(
    "name",
    [
        "Claim it at https://evil.example",
        "ftp://evil.example",
        "WWW.evil.example",
        "<b>Ada</b>",
        "Ada >",
        "Ada\nLovelace",
        "Ada\tLovelace",
        "Ada\x7f",
        "Ada\x9b31m",
        "Ada\u2028Lovelace",
    ],
)
def test_a_full_name_holds_no_link_no_markup_and_no_control_character(anonymous, admin, rows, name):
    wrong = anonymous.post("/users", json={**ADA, "full_name": name})
    user = admin.post("/users", json=ADA).json
    changed = admin.patch(f"/users/{user['id']}", json={"full_name": name})

    for answer in (wrong, changed):
        assert refusal(answer) == (422, "invalid")
        (said,) = answer.json["errors"]["json"]["full_name"]
        assert said.startswith("Must not contain ")
    assert rows("SELECT count(*) FROM users WHERE full_name IS NOT NULL") == [(0,)]


@pytest.mark.parametrize("name", ["Zoë Łukasiewicz", "Dr. Ada O'Neil-King, Jr.", "山田 太郎"])
def test_a_full_name_may_be_any_other(anonymous, name):
    assert anonymous.post("/users", json={**ADA, "full_name": name}).json["full_name"] == name
