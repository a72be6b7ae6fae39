import pytest


def matching(answer):
    return {"If-Match": answer.headers["ETag"]}


def assert_stale(answer):
    assert (answer.status_code, answer.json["code"]) == (412, "precondition_failed")


def test_a_user_has_one_tag_wherever_it_is_shown(admin, a_user, as_holder):
    ada = a_user(username="ada")
    path = f"/users/{ada.id}"
    shown = [
        admin.post(f"{path}/points", json={"points": 60, "reason": "A late parcel"}),
        admin.put(f"{path}/promotion"),
        admin.put("/user/promote/ADA"),
        admin.get(path),
        admin.get("/user/Ada"),
        as_holder(ada).get("/users/me"),
    ]

    assert len({answer.headers["ETag"] for answer in shown}) == 1
    changed = admin.patch(path, json={"full_name": "Ada"})
    assert changed.headers["ETag"] == admin.get(path).headers["ETag"]
    assert changed.headers["ETag"] != shown[0].headers["ETag"]


@pytest.mark.parametrize("path", ["/users", "/user"])
def test_a_new_user_comes_with_the_tag(anonymous, admin, path):
    body = {"username": "ada", "email": "ada@example.com"}

    registered = anonymous.post(path, json=body)

    assert registered.headers["ETag"] == admin.get("/user/ada").headers["ETag"]


def test_what_the_client_has_is_not_sent_again(a_user, as_holder):
    ada = as_holder(a_user(username="ada"))

    for path in ("/users/me", "/user/ada"):
        has = {"If-None-Match": ada.get(path).headers["ETag"]}
        answer = ada.get(path, headers=has)
        assert (answer.status_code, answer.data) == (304, b"")


def test_an_edit_of_a_version_that_is_gone_changes_nothing(admin, a_user):
    ada = a_user(username="ada", full_name="Ada")
    path = f"/users/{ada.id}"
    stale = matching(admin.get(path))
    admin.post(f"{path}/points", json={"points": 60, "reason": "A late parcel"})
    present = admin.get(path)

    assert_stale(admin.patch(path, json={"full_name": "Eve"}, headers=stale))
    assert_stale(admin.put(path, json={"email": "eve@example.com"}, headers=stale))
    assert_stale(admin.put(f"{path}/promotion", headers=stale))
    assert_stale(admin.put("/user/promote/ada", headers=stale))
    assert_stale(admin.delete(path, headers=stale))
    assert admin.get(path).json == present.json

    assert admin.put(f"{path}/promotion", headers=matching(present)).status_code == 200
    changed = admin.patch(path, json={"full_name": "Eve"}, headers=matching(present))
    assert changed.status_code == 200
    assert admin.delete(path, headers=matching(changed)).status_code == 204
    assert admin.delete(path, headers=matching(changed)).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", {"full_name": "Eve"}),
        ("DELETE", "", None),
        ("PUT", "/promotion", None),
    ],
)
def test_the_version_is_compared_when_nobody_else_can_change_it(
    admin, a_user, overtaken, method, path, body
):
    address = f"/users/{a_user().id}"
    begun_with = matching(admin.get(address))

    answer = overtaken(
        "UPDATE users SET version = version + 1",
        lambda: admin.open(method, address + path, json=body, headers=begun_with),
    )

    assert_stale(answer)
    assert admin.get(address).json["full_name"] is None
