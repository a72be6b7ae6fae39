"""Every conditional route evaluates all preconditions of RFC 9110, in the order of its 13.2.2."""

from datetime import UTC, datetime, timedelta

import pytest

from chassis import testing
from chassis.conditional import Expected
from chassis.errors import PreconditionFailed
from chassis.settings import SERVICES
from tests.images import PNG

USERS, PRODUCTS, ORDERS, NOTIFICATIONS = SERVICES
METHODS = {"get", "put", "patch", "delete", "post"}
PAST, FUTURE = "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
STALE = '"99-00000000000000000000"'
LAMP = {"sku": "LAMP", "name": "Lamp", "category": "Lighting", "price": 1}
IMAGE = "/products/1/image"

# (service, method, route): the path, for a shop of one product and the user that the fixture makes
READS = {
    (USERS, "get", "/users/me"): "/users/me",
    (USERS, "get", "/users/{user_id}"): "/users/1",
    (USERS, "get", "/user/{username}"): "/user/bob",
    (PRODUCTS, "get", "/products/{product_id}"): "/products/1",
    (ORDERS, "get", "/orders/{order_id}"): "/orders/1",
    (NOTIFICATIONS, "get", "/notifications/{notification_id}"): "/notifications/1",
}
# the same, the body, and where the resource can be read
WRITES = {
    (USERS, "put", "/users/{user_id}"): ("/users/1", {"email": "bob@example.org"}, "/users/1"),
    (USERS, "patch", "/users/{user_id}"): ("/users/1", {"full_name": "Bob"}, "/users/1"),
    (USERS, "delete", "/users/{user_id}"): ("/users/1", None, "/users/1"),
    (USERS, "put", "/users/{user_id}/promotion"): ("/users/1/promotion", None, "/users/1"),
    (USERS, "put", "/user/promote/{username}"): ("/user/promote/bob", None, "/users/1"),
    (PRODUCTS, "put", "/products/{product_id}"): ("/products/1", LAMP, "/products/1"),
    (PRODUCTS, "patch", "/products/{product_id}"): ("/products/1", {"price": 2}, "/products/1"),
    (PRODUCTS, "delete", "/products/{product_id}"): ("/products/1", None, "/products/1"),
    (ORDERS, "patch", "/orders/{order_id}"): ("/orders/1", {"status": "shipped"}, "/orders/1"),
}
FILES = {
    (PRODUCTS, "put", "/products/{product_id}/image"),
    (PRODUCTS, "delete", "/products/{product_id}/image"),
}
READ_BY_NGINX = {(PRODUCTS, "get", "/products/{product_id}/image")}


@pytest.fixture
def filled(shop, admin_of, a_product, databases):
    """Fill the shop with a user, a product with an image, an order and a notification."""
    admin_of(USERS).post("/users", json={"username": "bob", "email": "bob@example.com"})
    a_product()
    admin_of(PRODUCTS).put(IMAGE, data=PNG, content_type="image/png")
    admin_of(ORDERS).post("/orders", json={"items": [{"product_id": 1, "quantity": 1}]})
    testing.query(
        databases(NOTIFICATIONS),
        """
        INSERT INTO notifications (user_id, event_id, event_type, facts, request_id, status)
        VALUES (1, 'event-1', 'user.registered', '{}', 'request-1', 'failed')
        """,
    )
    return admin_of


def headers(tag, *pairs):
    return {name: value.format(tag=tag) for name, value in pairs}


def test_every_conditional_operation_of_openapi_is_tried_below(shop):
    found = set()
    for name in SERVICES:
        document = testing.Client(shop.apps[name]).get("/openapi.json").json
        for path, operations in document["paths"].items():
            for method in operations.keys() & METHODS:
                described = operations[method]
                asked = {
                    parameter["name"]
                    for parameter in described.get("parameters", [])
                    if parameter.get("in") == "header"
                }
                if asked & {"If-Match", "If-None-Match", "If-Unmodified-Since"}:
                    assert {"If-Match", "If-None-Match"} <= asked, (name, method, path)
                    assert "412" in described["responses"], (name, method, path)
                    found.add((name, method, path))
    assert found == READS.keys() | WRITES.keys() | FILES | READ_BY_NGINX


@pytest.mark.parametrize(("name", "method", "route"), READS)
def test_a_read_evaluates_every_precondition(filled, name, method, route):
    client, path = filled(name), READS[name, method, route]
    tag = client.get(path).headers["ETag"]

    for status, pairs in (
        (200, []),
        (200, [("If-Match", "{tag}")]),
        (200, [("If-Match", "*")]),
        (200, [("If-None-Match", STALE)]),
        (304, [("If-None-Match", "{tag}")]),
        (304, [("If-None-Match", "W/{tag}")]),
        (304, [("If-None-Match", STALE + ", {tag}")]),
        (304, [("If-None-Match", "*")]),
        (304, [("If-Match", "{tag}"), ("If-None-Match", "{tag}")]),
        (304, [("If-None-Match", "{tag}"), ("If-Modified-Since", PAST)]),
        (200, [("If-None-Match", STALE), ("If-Modified-Since", FUTURE)]),
        (200, [("If-Modified-Since", FUTURE)]),  # no answer has a date
        (200, [("If-Unmodified-Since", PAST)]),
        (412, [("If-Match", STALE)]),
        (412, [("If-Match", "W/{tag}")]),
        (412, [("If-Match", STALE), ("If-None-Match", "{tag}")]),
    ):
        for verb in ("GET", "HEAD"):
            answer = client.open(verb, path, headers=headers(tag, *pairs))
            assert answer.status_code == status, (verb, pairs)
            assert (answer.headers.get("ETag") == tag) == (status < 400), (verb, pairs)
            assert "Last-Modified" not in answer.headers


@pytest.mark.parametrize(("name", "method", "route"), WRITES)
def test_a_write_evaluates_every_precondition(filled, name, method, route):
    client, (path, body, place) = filled(name), WRITES[name, method, route]
    before = client.get(place)
    tag = before.headers["ETag"]

    def write(*pairs):
        return client.open(method.upper(), path, json=body, headers=headers(tag, *pairs))

    for pairs in (
        [("If-Match", STALE)],
        [("If-Match", "W/{tag}")],
        [("If-Match", STALE), ("If-Unmodified-Since", FUTURE)],
        [("If-Unmodified-Since", PAST)],
        [("If-None-Match", "*")],
        [("If-None-Match", "{tag}")],
        [("If-None-Match", "W/{tag}")],
        [("If-None-Match", STALE + ", {tag}")],
        [("If-Match", "{tag}"), ("If-None-Match", "{tag}")],
        [("If-Unmodified-Since", FUTURE), ("If-None-Match", "*")],
    ):
        answer = write(*pairs)
        assert (answer.status_code, answer.json["code"]) == (412, "precondition_failed"), pairs
    assert client.get(place).data == before.data

    passing = write(
        ("If-Match", "{tag}"),  # so the date is ignored
        ("If-Unmodified-Since", PAST),
        ("If-None-Match", STALE),
        ("If-Modified-Since", FUTURE),  # for GET and HEAD alone
    )
    assert passing.status_code in (200, 204), passing.text


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_write_of_an_image_evaluates_every_precondition(filled, method):
    client = filled(PRODUCTS)
    put = client.put(IMAGE, data=PNG, content_type="image/png")
    tag = put.headers["ETag"]

    def write(*pairs):
        body = {"data": PNG, "content_type": "image/png"} if method == "PUT" else {}
        return client.open(method, IMAGE, headers=headers(tag, *pairs), **body)

    for pairs in (
        [("If-Match", '"1-1"')],
        [("If-Match", "W/{tag}")],
        [("If-None-Match", "*")],
        [("If-None-Match", "{tag}")],
        [("If-None-Match", "W/{tag}")],
        [("If-Match", "{tag}"), ("If-None-Match", '"1-1", {tag}')],
    ):
        assert write(*pairs).status_code == 412, pairs
    assert client.get("/products/1").json == put.json

    # an image has no date, so both dates are ignored
    dates = [("If-Unmodified-Since", PAST), ("If-Modified-Since", FUTURE)]
    passing = write(("If-None-Match", '"1-1"'), *dates)
    assert passing.status_code in (200, 204), passing.text


def test_an_image_can_be_put_only_where_there_is_none(filled):
    client, first = filled(PRODUCTS), {"If-None-Match": "*"}
    client.delete(IMAGE)

    assert client.put(IMAGE, data=PNG, content_type="image/png", headers=first).status_code == 200
    assert client.put(IMAGE, data=PNG, content_type="image/png", headers=first).status_code == 412


def test_a_date_is_compared_with_the_last_edit_to_the_microsecond():
    edited = datetime(2026, 1, 31, 9, 30, 0, 500_000, tzinfo=UTC)
    same_second, next_second = edited.replace(microsecond=0), edited + timedelta(seconds=0.5)

    Expected(unmodified_since=next_second).check(1, edited)
    with pytest.raises(PreconditionFailed, match="If-Unmodified-Since"):
        Expected(unmodified_since=same_second).check(1, edited)


@pytest.mark.parametrize("date", ["yesterday", "", "2026-01-31T09:30:00Z", "0"])
def test_a_date_that_is_none_is_ignored(filled, date):
    answer = filled(PRODUCTS).patch(
        "/products/1", json={"price": 2}, headers={"If-Unmodified-Since": date}
    )

    assert answer.status_code == 200
