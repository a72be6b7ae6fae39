from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from microservice1.logic import passwords
from tests.administrators import ADMINISTRATOR

PASSWORD = "correct horse battery"
NEW_PASSWORD = "a wholly new password"


def refusal(answer):
    return answer.status_code, answer.json["code"]


def test_holders_change_their_unconfirmed_address_and_name(anonymous, as_holder, announced):
    body = {"username": "Ada", "email": "ada@example.com", "full_name": "Ada"}
    ada = SimpleNamespace(**anonymous.post("/users", json=body).json)

    answer = as_holder(ada).patch(
        f"/users/{ada.id}", json={"email": "ada@lovelace.org", "full_name": "Ada Lovelace"}
    )

    assert answer.status_code == 200
    assert (answer.json["email"], answer.json["pending_email"]) == ("ada@lovelace.org", None)
    assert answer.json["full_name"] == "Ada Lovelace"
    assert answer.json["version"] == 2
    assert answer.json["updated_at"] > ada.updated_at
    assert as_holder(ada).get("/users/me").json == answer.json
    assert announced("user.updated") == [
        (
            "user.updated",
            {
                "user_id": ada.id,
                "username": "Ada",
                "email": "ada@lovelace.org",
                "email_confirmed": False,
                "full_name": "Ada Lovelace",
                "status": "Bronze",
                "version": 2,
            },
        )
    ]


def test_put_clears_a_name_that_is_left_out_and_keeps_the_password(a_user, as_holder, sign_in):
    ada = a_user(full_name="Ada", password=PASSWORD)

    answer = as_holder(ada).put(f"/users/{ada.id}", json={"email": "new@example.com"})

    assert (answer.status_code, answer.json["full_name"]) == (200, None)
    assert answer.json["username"] == ada.username
    assert sign_in(ada.username).status_code == 200


def test_patch_clears_a_name_by_null(a_user, as_holder):
    ada = a_user(full_name="Ada")

    answer = as_holder(ada).patch(f"/users/{ada.id}", json={"full_name": None})

    assert (answer.status_code, answer.json["full_name"]) == (200, None)


def test_admins_change_username_and_role_too(a_user, admin, announced):
    ada = a_user()

    answer = admin.put(
        f"/users/{ada.id}",
        json={"email": ada.email, "username": "ADA", "role": "admin", "full_name": "Ada"},
    )

    assert answer.status_code == 200
    assert (answer.json["username"], answer.json["role"]) == ("ADA", "admin")
    assert len(announced("user.updated")) == 1


def test_what_others_keep_no_copy_of_is_not_announced(a_user, admin, announced):
    ada = a_user(email="ada@example.com")

    admin.patch(
        f"/users/{ada.id}",
        json={"role": "admin", "password": NEW_PASSWORD, "email": "ada@example.com"},
    )

    assert announced("user.updated") == []


def test_a_name_may_change_its_case_but_not_become_anothers(a_user, admin):
    ada, _ = a_user(username="ada", email="ada@example.com"), a_user(username="bob")

    def change(**fields):
        return admin.patch(f"/users/{ada.id}", json=fields)

    assert change(username="Ada", email="ADA@example.com").status_code == 200
    assert refusal(change(username="BOB")) == (409, "username_taken")
    assert refusal(change(email="User2@example.com")) == (409, "email_taken")
    assert admin.get(f"/users/{ada.id}").json["version"] == 2


@pytest.mark.parametrize("field", [{"username": "bob"}, {"role": "admin"}, {"role": "customer"}])
def test_a_customer_may_not_send_an_admins_field(a_user, as_holder, field):
    ada = a_user()

    for method in ("PUT", "PATCH"):
        answer = as_holder(ada).open(
            method, f"/users/{ada.id}", json={"email": "new@example.com", **field}
        )
        assert refusal(answer) == (403, "forbidden")
    assert as_holder(ada).get("/users/me").json == vars(ada)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, "_schema"),
        ({"current_password": PASSWORD}, "_schema"),
        ({"points": 5}, "points"),
        ({"points_balance": 5}, "points_balance"),
        ({"status": "Gold"}, "status"),
        ({"id": 5}, "id"),
        ({"version": 5}, "version"),
        ({"created_at": "2026-01-31T09:30:00Z"}, "created_at"),
        ({"password_hash": "x"}, "password_hash"),
        ({"email": None}, "email"),
        ({"email": "nobody"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": None}, "password"),
        ({"username": "with space"}, "username"),
        ({"role": "root"}, "role"),
        ({"full_name": ""}, "full_name"),
        ({"full_name": 7}, "full_name"),
    ],
)
def test_bad_changes_are_named_and_change_nothing(a_user, admin, body, wrong):
    ada = a_user()

    answer = admin.patch(f"/users/{ada.id}", json=body)

    assert refusal(answer) == (422, "invalid")
    assert answer.json["errors"]["json"].keys() == {wrong}
    assert admin.get(f"/users/{ada.id}").json == vars(ada)


def test_put_needs_an_address(a_user, as_holder):
    ada = a_user()

    answer = as_holder(ada).put(f"/users/{ada.id}", json={"full_name": "Ada"})

    assert refusal(answer) == (422, "invalid")
    assert answer.json["errors"]["json"].keys() == {"email"}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_only_holders_and_admins_touch_an_account(
    a_user, as_holder, anonymous, orders_service, admin, method
):
    ada, bob = a_user(), a_user()
    body = None if method == "DELETE" else {"email": "evil@example.com"}

    def touch(caller, user_id=ada.id):
        return refusal(caller.open(method, f"/users/{user_id}", json=body))

    assert touch(anonymous) == (401, "unauthenticated")
    assert touch(orders_service) == (403, "forbidden")
    assert touch(as_holder(bob)) == (404, "not_found")
    assert touch(admin, 4711) == (404, "not_found")
    assert admin.get(f"/users/{ada.id}").json == vars(ada)


def test_to_a_customer_others_do_not_exist_whatever_is_sent(a_user, as_holder):
    ada, bob = a_user(), a_user()

    answer = as_holder(bob).patch(f"/users/{ada.id}", json={"role": "admin"})

    assert refusal(answer) == (404, "not_found")


class TestPasswords:
    def test_a_new_one_takes_the_current_one(self, a_user, as_holder, sign_in):
        ada = a_user(password=PASSWORD)

        answer = as_holder(ada).patch(
            f"/users/{ada.id}", json={"password": NEW_PASSWORD, "current_password": PASSWORD}
        )

        assert answer.status_code == 200
        assert sign_in(ada.username, NEW_PASSWORD).status_code == 200
        assert sign_in(ada.username, PASSWORD).status_code == 401

    @pytest.mark.parametrize("proof", [{}, {"current_password": ""}, {"current_password": "wrong"}])
    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_without_the_current_one_nothing_is_changed(
        self, a_user, as_holder, sign_in, method, proof
    ):
        ada = a_user(password=PASSWORD)

        answer = as_holder(ada).open(
            method,
            f"/users/{ada.id}",
            json={"email": "new@example.com", "password": NEW_PASSWORD, **proof},
        )

        assert refusal(answer) == (403, "wrong_password")
        assert as_holder(ada).get("/users/me").json == vars(ada)
        assert sign_in(ada.username).status_code == 200

    def test_an_account_without_one_gets_its_first_from_an_admin(
        self, a_user, as_holder, admin, sign_in
    ):
        ada = a_user()
        own = {"password": NEW_PASSWORD, "current_password": ""}

        refused = as_holder(ada).patch(f"/users/{ada.id}", json=own)
        assert refusal(refused) == (403, "wrong_password")
        assert sign_in(ada.username, NEW_PASSWORD).status_code == 401

        assert admin.patch(f"/users/{ada.id}", json={"password": NEW_PASSWORD}).status_code == 200
        assert sign_in(ada.username, NEW_PASSWORD).status_code == 200

    def test_an_admin_needs_no_current_one_for_their_own(self, a_user, as_holder, sign_in):
        root = a_user(role="admin", password=PASSWORD)

        answer = as_holder(root).patch(f"/users/{root.id}", json={"password": NEW_PASSWORD})

        assert answer.status_code == 200
        assert sign_in(root.username, NEW_PASSWORD).status_code == 200

    def test_one_that_changed_since_it_was_checked_counts_no_more(
        self, a_user, as_holder, admin, monkeypatch, sign_in
    ):
        ada = a_user(password=PASSWORD)
        hashed = passwords.hashed

        def hashed_while_an_admin_changes_it(password):
            monkeypatch.undo()
            admin.patch(f"/users/{ada.id}", json={"password": "set by the admin"})
            return hashed(password)

        monkeypatch.setattr(passwords, "hashed", hashed_while_an_admin_changes_it)
        answer = as_holder(ada).patch(
            f"/users/{ada.id}", json={"password": NEW_PASSWORD, "current_password": PASSWORD}
        )

        assert refusal(answer) == (401, "token_expired")
        assert sign_in(ada.username, "set by the admin").status_code == 200


class TestDeleting:
    def test_a_deleted_user_is_gone_and_their_names_are_free(
        self, a_user, as_holder, admin, announced, rows
    ):
        ada = a_user(username="ada", email="ada@example.com", points=60)

        assert as_holder(ada).delete(f"/users/{ada.id}").status_code == 204

        assert refusal(admin.delete(f"/users/{ada.id}")) == (404, "not_found")
        assert refusal(as_holder(ada).get("/users/me")) == (404, "not_found")
        assert rows("SELECT count(*) FROM points_entries") == [(0,)]
        again = a_user(username="Ada", email="Ada@example.com")
        assert again.id != ada.id
        assert announced("user.deleted") == [
            (
                "user.deleted",
                {
                    "user_id": ada.id,
                    "username": "ada",
                    "email": "ada@example.com",
                    "email_confirmed": True,
                    "full_name": None,
                    "status": "Silver",
                    "version": 2,
                },
            )
        ]

    def test_the_last_admin_can_be_neither_deleted_nor_demoted(self, a_user, admin):
        a_user()
        own = f"/users/{ADMINISTRATOR}"

        assert refusal(admin.delete(own)) == (409, "last_admin")
        assert refusal(admin.patch(own, json={"role": "customer"})) == (409, "last_admin")
        assert admin.patch(own, json={"role": "admin"}).status_code == 200

    def test_one_of_two_admins_may_go(self, a_user, as_holder, admin):
        second = a_user(role="admin")

        demoted = admin.patch(f"/users/{ADMINISTRATOR}", json={"role": "customer"})

        assert demoted.status_code == 200
        assert refusal(as_holder(second).delete(f"/users/{second.id}")) == (409, "last_admin")

    @pytest.mark.parametrize("attempt", range(5))
    def test_of_two_admins_who_go_at_once_one_stays(self, a_user, as_holder, admin, rows, attempt):
        other = a_user(role="admin")

        with ThreadPoolExecutor() as threads:
            leaving = [
                threads.submit(as_holder(other).delete, f"/users/{other.id}"),
                threads.submit(admin.patch, f"/users/{ADMINISTRATOR}", json={"role": "customer"}),
            ]
            answers = [left.result().status_code for left in leaving]

        assert sorted(answers)[1] == 409
        assert rows("SELECT count(*) FROM users WHERE role = 'admin'") == [(1,)]
