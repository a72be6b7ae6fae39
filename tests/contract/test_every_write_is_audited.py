"""Every write by an administrator or a service leaves an entry: those that OpenAPI lists."""

from types import SimpleNamespace

import pytest

from chassis import testing
from chassis.settings import SERVICES
from tests.contract.conftest import DEAD_LETTER
from tests.images import PNG

BOB = {"username": "bob", "email": "bob@example.com"}
LAMP = {"sku": "LAMP", "name": "Desk lamp", "category": "Lighting", "price": 29.9, "stock": 10}
USERS, PRODUCTS, ORDERS, NOTIFICATIONS = SERVICES

# (service, method, route), what is sent, by whom, and the entry's action and subject. Each finds
# what those before it have left.
WRITES = [
    ((USERS, "post", "/users"), BOB, "user.registered", "user/1"),
    (
        (USERS, "post", "/user"),
        {**BOB, "username": "b", "email": "b@x.org"},
        "user.registered",
        "user/2",
    ),
    ((USERS, "put", "/users/{user_id}"), {"email": "bob@example.org"}, "user.changed", "user/1"),
    ((USERS, "patch", "/users/{user_id}"), {"full_name": "Bob"}, "user.changed", "user/1"),
    (
        (USERS, "post", "/users/{user_id}/confirmation"),
        None,
        "confirmation.requested",
        "user/1",
    ),
    (
        (USERS, "post", "/users/{user_id}/points"),
        {"points": 60, "reason": "A gift"},
        "points.adjusted",
        "user/1",
    ),
    ((USERS, "put", "/users/{user_id}/promotion"), None, "status.computed", "user/1"),
    ((USERS, "put", "/user/promote/{username}"), None, "status.computed", "user/1"),
    ((USERS, "post", "/internal/events"), "order.confirmed", "order.confirmed", "order/1"),
    (
        (USERS, "put", "/internal/redemptions/{order_id}"),
        {"user_id": 1, "points": 5},
        "points.redeemed",
        "order/77",
    ),
    ((USERS, "delete", "/internal/redemptions/{order_id}"), None, "points.refunded", "order/77"),
    ((USERS, "delete", "/users/{user_id}"), None, "user.deleted", "user/1"),
    ((PRODUCTS, "post", "/products"), LAMP, "product.created", "product/1"),
    (
        (PRODUCTS, "put", "/products/{product_id}"),
        {key: LAMP[key] for key in ("sku", "name", "category", "price")},
        "product.changed",
        "product/1",
    ),
    (
        (PRODUCTS, "patch", "/products/{product_id}"),
        {"name": "Lamp"},
        "product.changed",
        "product/1",
    ),
    ((PRODUCTS, "put", "/products/{product_id}/image"), PNG, "image.replaced", "product/1"),
    ((PRODUCTS, "delete", "/products/{product_id}/image"), None, "image.deleted", "product/1"),
    (
        (PRODUCTS, "post", "/products/{product_id}/stock"),
        {"delta": 5, "reason": "Delivery"},
        "stock.entered",
        "product/1",
    ),
    (
        (PRODUCTS, "put", "/internal/reservations/{order_id}"),
        {"items": [{"product_id": 1, "quantity": 1}]},
        "stock.reserved",
        "order/77",
    ),
    ((PRODUCTS, "delete", "/internal/reservations/{order_id}"), None, "stock.released", "order/77"),
    ((PRODUCTS, "post", "/internal/events"), "order.confirmed", "order.confirmed", "order/1"),
    (
        (ORDERS, "post", "/orders"),
        {"items": [{"product_id": 1, "quantity": 1}]},
        "order.placed",
        "order/1",
    ),
    ((ORDERS, "patch", "/orders/{order_id}"), {"status": "shipped"}, "order.shipped", "order/1"),
    ((PRODUCTS, "delete", "/products/{product_id}"), None, "product.deleted", "product/1"),
    ((NOTIFICATIONS, "post", "/internal/events"), "order.confirmed", "order.confirmed", "order/1"),
    (
        (NOTIFICATIONS, "post", "/notifications/{notification_id}/retry"),
        None,
        "notification.retried",
        "notification/1",
    ),
    (
        (NOTIFICATIONS, "post", "/notifications/{notification_id}/give-up"),
        None,
        "notification.given_up",
        "notification/1",
    ),
    *(
        ((name, *operation), None, f"dead_letter.{action}", f"dead_letter/{DEAD_LETTER}")
        for name in SERVICES
        for operation, action in (
            (("post", "/dead-letters/{letter_id}/replay"), "replayed"),
            (("delete", "/dead-letters/{letter_id}"), "discarded"),
        )
    ),
]


def event(event_type):
    data = {"order_id": 1, "user_id": 1, "version": 1, "status": "confirmed", "total": 5.0}
    return {
        "specversion": "1.0",
        "id": "event-1",
        "source": "/microservice3",
        "type": event_type,
        "subject": "order/1",
        "time": "2026-01-31T09:30:00Z",
        "requestid": "the-request",
        "data": {**data, "currency": "EUR", "items": []},
    }


@pytest.fixture
def audited(admin_of):
    """Returns a function: the entries of a service, newest first."""
    return lambda name, **query: admin_of(name).get("/audit", query_string=query).json


def test_every_write_that_openapi_lists_is_tried_below(shop):
    documents = {name: testing.document_of(shop.apps[name]) for name in SERVICES}
    found = {
        (name, method, path)
        for name, document in documents.items()
        for path, operations in document["paths"].items()
        for method in operations.keys() & {"post", "put", "patch", "delete"}
        if not path.startswith(("/tokens", "/confirmations", "/password-resets"))
    }

    assert found == {operation for operation, *_ in WRITES}


def test_every_write_leaves_one_entry(shop, admin_of, audited, keys, databases, a_dead_letter):
    for (name, method, route), body, action, subject in WRITES:
        if route.endswith("/retry"):
            testing.query(databases(name), "UPDATE notifications SET status = 'failed'")
        if route.endswith("/confirmation"):
            testing.query(databases(name), "UPDATE users SET email_confirmed = false")
        if route.startswith("/dead-letters/"):
            testing.query(databases(name), "DELETE FROM outbox")
            a_dead_letter(name)
        if route.startswith("/internal/"):
            token, actor = testing.service_token(keys, ORDERS, name), "service:microservice3"
            caller = testing.Client(shop.apps[name], token, internal=True)
        else:
            caller, actor = admin_of(name), "user:999"
        number = subject.partition("/")[2]
        path = route.replace("{username}", "bob")
        for parameter in ("user_id", "product_id", "order_id", "notification_id", "letter_id"):
            path = path.replace(f"{{{parameter}}}", number)
        known = len(audited(name, limit=100))

        if isinstance(body, bytes):
            content = {"data": body}
        else:
            content = {"json": event(body) if isinstance(body, str) else body}
        answer = caller.open(
            method.upper(), path, headers={"X-Request-ID": "the-request"}, **content
        )

        assert 200 <= answer.status_code < 300, (route, answer.text)
        entries = audited(name, limit=100)
        assert len(entries) == known + 1, (method, route)
        entries[0].pop("at")
        assert entries[0] == {
            "actor": actor,
            "action": action,
            "subject": subject,
            "request_id": "the-request",
            "count": 1,
        }


@pytest.fixture
def ordering(shop, keys, a_product):
    """An order by an administrator at each point of its way."""
    lamp = a_product(stock=5)
    body = {"items": [{"product_id": lamp, "quantity": 1}]}
    return SimpleNamespace(
        body=body, too_much={"items": [{"product_id": lamp, "quantity": 9}]}, lamp=lamp
    )


def actions(audited, name, **query):
    return [(entry["actor"], entry["action"]) for entry in audited(name, **query)]


def test_a_customers_own_order_is_no_entry_but_what_services_do_for_it_is(
    shop, keys, ordering, audited
):
    customer = testing.Client(shop.apps[ORDERS], testing.user_token(keys, 7))
    assert customer.post("/orders", json=ordering.body).status_code == 201
    shop.work()

    assert audited(ORDERS) == []
    service = "service:microservice3"
    assert actions(audited, PRODUCTS, actor=service) == [
        (service, "order.confirmed"),
        (service, "stock.reserved"),
    ]
    assert actions(audited, USERS) == [(service, "order.confirmed")]
    assert actions(audited, NOTIFICATIONS) == [(service, "order.confirmed")]


def test_an_order_that_is_refused_leaves_no_entry(admin_of, ordering, audited):
    assert admin_of(ORDERS).post("/orders", json=ordering.too_much).status_code == 409

    assert audited(ORDERS) == []
    assert actions(audited, PRODUCTS) == [("user:999", "product.created")]


def test_an_order_that_was_promised_is_entered_once(shop, admin_of, ordering, audited, databases):
    shop.network.down = {PRODUCTS}
    assert admin_of(ORDERS).post("/orders", json=ordering.body).status_code == 202
    assert actions(audited, ORDERS) == [("user:999", "order.placed")]

    shop.network.down = set()
    testing.query(databases(ORDERS), "UPDATE outbox SET due_at = now()")
    shop.work()

    assert actions(audited, ORDERS) == [("user:999", "order.placed")]


def test_an_order_that_the_worker_takes_over_is_entered_as_its_administrators(
    shop, admin_of, ordering, audited, databases, monkeypatch
):
    from microservice3.logic import saga

    def crash(_order):
        raise MemoryError

    monkeypatch.setattr(saga, "advance", crash)
    assert admin_of(ORDERS).post("/orders", json=ordering.body).status_code == 500
    assert audited(ORDERS) == []
    monkeypatch.undo()
    testing.query(databases(ORDERS), "UPDATE outbox SET due_at = now()")
    shop.work()

    assert actions(audited, ORDERS) == [("user:999", "order.placed")]


def test_what_is_told_twice_is_entered_once(shop, keys, audited):
    token = testing.service_token(keys, ORDERS, USERS)
    orders = testing.Client(shop.apps[USERS], token, internal=True)

    for _ in range(2):
        orders.post("/internal/events", json=[event("order.confirmed")])

    assert len(audited(USERS)) == 1


def test_what_is_released_twice_is_entered_once(shop, keys, audited):
    token = testing.service_token(keys, ORDERS, PRODUCTS)
    orders = testing.Client(shop.apps[PRODUCTS], token, internal=True)

    for _ in range(2):
        orders.delete("/internal/reservations/7")

    assert len(audited(PRODUCTS)) == 1


def test_a_request_that_is_repeated_is_entered_once(admin_of, audited):
    for _ in range(2):
        admin_of(PRODUCTS).post("/products", json=LAMP, headers={"Idempotency-Key": "k-1"})

    assert actions(audited, PRODUCTS) == [("user:999", "product.created")]


def test_a_write_that_is_refused_leaves_no_entry(admin_of, audited, a_product):
    a_product()

    assert admin_of(PRODUCTS).post("/products", json=LAMP).status_code == 409
    assert admin_of(PRODUCTS).patch("/products/4711", json={"name": "x"}).status_code == 404
    assert len(audited(PRODUCTS)) == 1


def test_what_users_do_to_their_own_account_is_no_entry(shop, keys, audited):
    anonymous = testing.Client(shop.apps[USERS])
    user_id = anonymous.post("/users", json=BOB).json["id"]
    bob = testing.Client(shop.apps[USERS], testing.user_token(keys, user_id))
    assert bob.patch(f"/users/{user_id}", json={"full_name": "Bob"}).status_code == 200

    assert audited(USERS) == []
