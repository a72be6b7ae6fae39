import re

import pytest

EDIT = {"sku": "NEW", "name": "New", "category": "Other", "price": 1}


@pytest.fixture
def tag(anonymous):
    """Returns a function: a product's ETag as it is now."""
    return lambda product: anonymous.get(f"/products/{product.id}").headers["ETag"]


def read(client, product, tags):
    return client.get(f"/products/{product.id}", headers={"If-None-Match": tags})


def assert_stale(answer):
    assert (answer.status_code, answer.json["code"]) == (412, "precondition_failed")
    assert answer.content_type == "application/problem+json"


def test_every_answer_that_shows_a_product_bears_its_tag(admin, anonymous, tag):
    body = {"sku": "A", "name": "A", "category": "A", "price": 1, "stock": 3}
    created = admin.post("/products", json=body)
    path = f"/products/{created.json['id']}"
    changes = [
        created,
        admin.patch(path, json={"price": 29.9}),
        admin.put(path, json=EDIT),
        admin.post(f"{path}/stock", json={"delta": 2, "reason": "Delivery"}),
    ]
    tags = [answer.headers["ETag"] for answer in changes]

    assert len(set(tags)) == 4
    assert anonymous.get(path).headers["ETag"] == tags[-1]
    for answer in changes:
        assert re.fullmatch(rf'"{answer.json["version"]}-[0-9a-f]{{20}}"', answer.headers["ETag"])


@pytest.mark.parametrize(
    "tags", ["{}", "W/{}", '"other", {}', '{} , W/"other"', "*", '"with, comma",{}']
)
def test_what_the_client_has_is_not_sent_again(anonymous, a_product, tag, tags):
    lamp = a_product()

    answer = read(anonymous, lamp, tags.format(tag(lamp)))

    assert (answer.status_code, answer.data) == (304, b"")
    assert answer.headers["ETag"] == tag(lamp)
    assert "Content-Type" not in answer.headers
    head = anonymous.open("HEAD", f"/products/{lamp.id}", headers={"If-None-Match": tag(lamp)})
    assert head.status_code == 304


@pytest.mark.parametrize("tags", ['"other"', "", '"', "W/", '"1-00000000000000000000"', '"1"', "é"])
def test_what_the_client_does_not_have_is_sent(anonymous, a_product, tags):
    lamp = a_product()

    answer = read(anonymous, lamp, tags)

    assert (answer.status_code, answer.json["id"]) == (200, lamp.id)


def test_a_list_and_an_error_have_no_tag(anonymous, a_product):
    a_product()

    assert "ETag" not in anonymous.get("/products").headers
    assert "ETag" not in anonymous.get("/products/4711", headers={"If-None-Match": "*"}).headers
    assert anonymous.get("/products/4711", headers={"If-None-Match": "*"}).status_code == 404


def test_a_sale_gives_200_but_an_edit_begun_before_it_still_passes(
    admin, anonymous, orders_service, a_product, tag
):
    lamp = a_product(stock=5)
    before = tag(lamp)
    items = [{"product_id": lamp.id, "quantity": 2}]
    orders_service.put("/internal/reservations/7", json={"items": items})

    assert read(anonymous, lamp, before).json["stock"] == 3
    edited = admin.patch(f"/products/{lamp.id}", json={"price": 1}, headers={"If-Match": before})
    assert (edited.status_code, edited.json["stock"], edited.json["version"]) == (200, 3, 2)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_an_edit_of_a_version_that_is_gone_changes_nothing(admin, a_product, tag, method):
    lamp = a_product()
    stale = tag(lamp)
    admin.patch(f"/products/{lamp.id}", json={"price": 1})
    present = admin.get(f"/products/{lamp.id}").json
    body = {"PUT": EDIT, "PATCH": {"price": 2}, "DELETE": None}[method]

    assert_stale(admin.open(method, f"/products/{lamp.id}", json=body, headers={"If-Match": stale}))

    assert admin.get(f"/products/{lamp.id}").json == present
    fresh = {"If-Match": tag(lamp)}
    answer = admin.open(method, f"/products/{lamp.id}", json=body, headers=fresh)
    assert answer.status_code == (204 if method == "DELETE" else 200)


@pytest.mark.parametrize(
    ("tags", "passes"),
    [
        ("{}", True),
        ("*", True),
        ('"other", {}', True),
        ('{}, "other"', True),
        ("W/{}", False),
        ('W/{}, "other"', False),
        ('"other"', False),
        ('"1"', False),
        ('"1-"', False),
        ('"1-xyz"', False),
        ('"01-00000000000000000000"', False),
        ('"99999999999999999999-00000000000000000000"', False),
        ('"', False),
        ("", False),
        ("é", False),
        ('""', False),
    ],
)
def test_tags_are_compared_strongly_and_any_of_several_is_enough(
    admin, a_product, tag, tags, passes
):
    lamp = a_product()

    answer = admin.patch(
        f"/products/{lamp.id}", json={"price": 1}, headers={"If-Match": tags.format(tag(lamp))}
    )

    if passes:
        assert (answer.status_code, answer.json["version"]) == (200, 2)
    else:
        assert_stale(answer)


def test_what_is_not_there_or_not_allowed_is_said_before_its_version(admin, customer, a_product):
    stale = {"If-Match": '"other"'}
    lamp = a_product()

    assert admin.patch("/products/4711", json={"price": 1}, headers=stale).status_code == 404
    assert admin.delete("/products/4711", headers={"If-Match": "*"}).status_code == 404
    assert customer.delete(f"/products/{lamp.id}", headers=stale).status_code == 403


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_the_version_is_compared_when_nobody_else_can_change_it(
    admin, a_product, tag, overtaken, method
):
    lamp = a_product()
    body = {"PUT": EDIT, "PATCH": {"price": 2}, "DELETE": None}[method]
    begun_with = {"If-Match": tag(lamp)}

    answer = overtaken(
        "UPDATE products SET version = version + 1",
        lambda: admin.open(method, f"/products/{lamp.id}", json=body, headers=begun_with),
    )

    assert_stale(answer)
    assert admin.get(f"/products/{lamp.id}").json["version"] == 2
