import pytest

from tests.administrators import ADMINISTRATOR


def refusal(answer):
    return answer.status_code, answer.json["code"]


def test_holders_admins_and_services_see_an_account(a_user, as_holder, admin, orders_service):
    ada = a_user(username="Ada")

    for caller in (as_holder(ada), admin, orders_service):
        for path in (f"/users/{ada.id}", "/user/Ada", "/user/aDA"):
            answer = caller.get(path)
            assert answer.status_code == 200
            assert answer.json == vars(ada)


def test_who_is_signed_in_is_found_as_me(a_user, as_holder):
    ada = a_user()

    assert as_holder(ada).get("/users/me").json == vars(ada)


def test_to_a_customer_other_accounts_do_not_exist(a_user, as_holder):
    ada, bob = a_user(), a_user(username="bob")

    for path in (f"/users/{bob.id}", "/user/bob", "/users/4711", "/user/nobody"):
        assert refusal(as_holder(ada).get(path)) == (404, "not_found")


@pytest.mark.parametrize("path", ["/users/me", "/users/1", "/user/ada", "/users"])
def test_without_a_token_nothing_is_shown(anonymous, a_user, path):
    a_user(username="ada")

    answer = anonymous.get(path)

    assert refusal(answer) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_service_is_nobody_in_particular(orders_service):
    assert refusal(orders_service.get("/users/me")) == (403, "forbidden")


@pytest.mark.parametrize("path", ["/users/4711", "/users/0", f"/users/{2**63}", "/user/no%00body"])
def test_what_is_not_there_is_not_found(admin, path):
    assert refusal(admin.get(path)) == (404, "not_found")


@pytest.mark.parametrize("path", ["/users/seven", "/users/-1", "/users/1/friends", "/user/a/b"])
def test_a_path_that_nobody_knows_is_no_route(admin, path):
    assert refusal(admin.get(path)) == (404, "no_route")


def test_a_list_is_for_admins(customer, orders_service):
    for caller in (customer, orders_service):
        assert refusal(caller.get("/users")) == (403, "forbidden")


def test_a_list_comes_by_id_a_page_at_a_time(admin, a_user):
    ids = [a_user().id for _ in range(5)]

    answer = admin.get("/users?page=2&limit=2")

    assert [user["id"] for user in answer.json] == ids[2:4]  # the administrator comes last
    assert '"total":6' in answer.headers["X-Pagination"].replace(" ", "")
    assert '</api/service1/users?page=3&limit=2>; rel="next"' in answer.headers["Link"]
    assert admin.get("/users?page=4&limit=2").json == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("username=aDA", ["Ada"]),
        ("username=ad", []),
        ("username=a%25", []),
        ("email=BOB@example.COM", ["bob"]),
        ("status=Gold", ["Ada"]),
        ("status=Bronze", ["bob", "eve", "administrator"]),
        ("role=admin", ["eve", "administrator"]),
        ("role=customer&status=Bronze", ["bob"]),
    ],
)
def test_a_list_can_be_narrowed(admin, a_user, query, expected):
    a_user(username="Ada", points=101)
    a_user(username="bob", email="Bob@example.com")
    a_user(username="eve", role="admin")

    assert [user["username"] for user in admin.get(f"/users?{query}").json] == expected


@pytest.mark.parametrize(
    "query", ["status=gold", "role=root", "page=0", "limit=101", "name=ada", "username=%00"]
)
def test_a_query_that_makes_no_sense_is_refused(admin, query):
    answer = admin.get(f"/users?{query}")

    assert refusal(answer) == (422, "invalid")
    assert answer.json["errors"]["query"].keys() == {query.partition("=")[0]}


def test_users_come_behind_a_cursor(admin, a_user, pages, rows):
    ids = [a_user(role="admin").id for _ in range(5)]

    walk = pages(admin, "/users?role=admin", limit=2)
    seen = [user["id"] for user in next(walk)]
    late = a_user(role="admin").id
    rows("DELETE FROM users WHERE id = %(first)s", first=ids[0])
    rest = [[user["id"] for user in page] for page in walk]

    assert [seen, *rest] == [ids[:2], ids[2:4], [ids[4], late], [ADMINISTRATOR]]
