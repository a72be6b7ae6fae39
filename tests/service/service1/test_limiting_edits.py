"""How often a customer may change their own profile in a minute."""

from dataclasses import replace

import pytest


@pytest.fixture
def limited(users, monkeypatch):
    monkeypatch.setattr(users, "settings", replace(users.settings, edits_per_minute=2))


def test_one_edit_too_many_is_refused_and_leaves_nothing(
    limited, a_user, as_holder, admin, announced, rows
):
    ada = a_user()
    path, changes = f"/users/{ada.id}", [{"full_name": f"Ada {n}"} for n in range(4)]
    for change in changes[:2]:
        assert as_holder(ada).patch(path, json=change).status_code == 200
    told = announced()

    refused = as_holder(ada).patch(path, json=changes[2])

    assert refused.status_code == 429
    assert refused.json["code"] == "too_many_requests"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert announced() == told
    assert as_holder(ada).put(path, json={"email": "a@example.com"}).status_code == 429
    assert as_holder(ada).get(path).json["full_name"] == "Ada 1"
    assert admin.patch(path, json=changes[3]).status_code == 200


def test_an_edit_that_fails_is_not_counted(limited, a_user, as_holder):
    ada, bob = a_user(), a_user()
    for _ in range(3):
        taken = as_holder(ada).patch(f"/users/{ada.id}", json={"email": bob.email})
        assert taken.status_code == 409
    assert as_holder(ada).patch(f"/users/{ada.id}", json={"full_name": "Ada"}).status_code == 200
