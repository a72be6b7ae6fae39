"""Every event that a service really sends is taken in by the real application of each receiver."""

import pytest

from chassis import testing


@pytest.fixture
def rows(databases):
    return lambda name, sql: testing.query(databases(name), sql)


def left_over(rows, name):
    return rows(name, "SELECT lane, state, last_error FROM outbox WHERE lane <> 'mail'")


def test_all_events_of_a_users_life_arrive(shop, admin_of, a_user, rows):
    users = admin_of("microservice1")
    user_id = a_user("ada", "ada@customers.invalid", full_name="Ada Lovelace")
    users.post(f"/users/{user_id}/points", json={"points": 60, "reason": "A gift"})
    users.patch(f"/users/{user_id}", json={"email": "countess@customers.invalid"})
    users.delete(f"/users/{user_id}")

    shop.work()

    assert left_over(rows, "microservice1") == []
    told = rows("microservice4", "SELECT event_type, status FROM notifications ORDER BY id")
    assert told == [("user.registered", "suppressed"), ("user.promoted", "suppressed")]


def test_all_letters_about_addresses_arrive(shop, admin_of, keys, rows):
    anonymous = testing.Client(shop.apps["microservice1"])
    body = {"username": "ada", "email": "ada@customers.invalid"}
    user_id = anonymous.post("/users", json=body).json["id"]
    ada = testing.Client(shop.apps["microservice1"], testing.user_token(keys, user_id))

    def contact():
        return rows("microservice4", "SELECT email, email_confirmed FROM contacts")

    def code_of(event_type):
        sql = f"SELECT message->'data'->>'code' FROM outbox WHERE message->>'type' = '{event_type}'"
        [(code,)] = rows("microservice1", sql)
        return code

    welcome = code_of("user.registered")
    shop.work()
    assert contact() == [("ada@customers.invalid", False)]

    anonymous.post("/confirmations", json={"code": welcome})
    ada.patch(f"/users/{user_id}", json={"email": "countess@customers.invalid"})
    another = code_of("user.confirmation_requested")
    shop.work()
    assert contact() == [("ada@customers.invalid", True)]

    anonymous.post("/confirmations", json={"code": another})
    anonymous.post("/password-resets", json={"email": "countess@customers.invalid"})
    shop.work()

    assert contact() == [("countess@customers.invalid", True)]
    assert left_over(rows, "microservice1") == []
    told = rows(
        "microservice4", "SELECT event_type, recipient, unconfirmed FROM notifications ORDER BY id"
    )
    assert told == [
        ("user.registered", "ada@customers.invalid", True),
        ("user.confirmation_requested", "countess@customers.invalid", True),
        ("user.email_change_requested", "ada@customers.invalid", False),
        ("user.password_reset_requested", "countess@customers.invalid", False),
    ]


def test_a_dead_letter_shows_no_code(shop, admin_of, rows):
    body = {"username": "ada", "email": "ada@customers.invalid"}
    testing.Client(shop.apps["microservice1"]).post("/users", json=body)
    [(letter, code)] = rows(
        "microservice1",
        "UPDATE outbox SET state = 'dead', last_error = 'x' RETURNING id, message->'data'->>'code'",
    )

    shown = admin_of("microservice1").get(f"/dead-letters/{letter}")

    assert len(code) == 32
    assert shown.json["message"]["data"]["username"] == "ada"
    assert code not in shown.text


def test_all_events_of_an_orders_life_arrive(shop, admin_of, a_user, a_product, rows):
    orders, users = admin_of("microservice3"), admin_of("microservice1")
    user_id, product = a_user("ada", "ada@customers.invalid"), a_product(price=60, stock=10)

    def place():
        items = [{"product_id": product, "quantity": 1}]
        return orders.post("/orders", json={"user_id": user_id, "items": items}).json["id"]

    kept, given_up = place(), place()
    shop.work()
    assert users.get(f"/users/{user_id}").json["points"] == 120
    for status in ("shipped", "delivered"):
        orders.patch(f"/orders/{kept}", json={"status": status})
    orders.patch(f"/orders/{given_up}", json={"status": "cancelled"})
    shop.work()

    assert left_over(rows, "microservice3") == []
    told = [
        (notification["order_id"], notification["event_type"])
        for notification in admin_of("microservice4").get("/notifications").json
        if notification["order_id"]
    ]
    assert sorted(told) == [
        (kept, "order.confirmed"),
        (kept, "order.delivered"),
        (kept, "order.shipped"),
        (given_up, "order.cancelled"),
        (given_up, "order.confirmed"),
    ]
    user = users.get(f"/users/{user_id}").json
    assert (user["points"], user["points_balance"], user["status"]) == (60, 60, "Silver")
    assert admin_of("microservice2").get(f"/products/{product}").json["units_sold"] == 1


def test_an_order_that_was_given_up_while_pending_is_understood(
    shop, admin_of, a_user, a_product, rows
):
    orders = admin_of("microservice3")
    user_id, product = a_user("ada", "ada@customers.invalid"), a_product()
    shop.network.down = {"microservice2"}
    items = [{"product_id": product, "quantity": 1}]
    order = orders.post("/orders", json={"user_id": user_id, "items": items}).json
    assert order["status"] == "pending"
    shop.network.down = set()

    orders.patch(f"/orders/{order['id']}", json={"status": "cancelled"})
    shop.work()

    assert left_over(rows, "microservice3") == []
    assert [n["event_type"] for n in admin_of("microservice4").get("/notifications").json] == [
        "order.cancelled",
        "user.registered",
    ]


def test_a_request_id_goes_with_everything_that_follows_from_the_request(
    shop, admin_of, a_user, a_product, rows, monkeypatch
):
    user_id, product = a_user("ada", "ada@customers.invalid"), a_product()
    shop.work()
    seen = []
    send = shop.network.send
    monkeypatch.setattr(
        shop.network,
        "send",
        lambda request, **rest: seen.append(request.headers) or send(request, **rest),
    )

    admin_of("microservice3").post(
        "/orders",
        json={"user_id": user_id, "items": [{"product_id": product, "quantity": 1}]},
        headers={
            "X-Request-ID": "my-request",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        },
    )
    shop.work()

    assert len(seen) >= 5  # the user, the reservation, three events; more if an answer was late
    assert {headers["X-Request-ID"] for headers in seen} == {"my-request"}
    assert {headers["traceparent"][3:35] for headers in seen} == {
        "0af7651916cd43dd8448eb211c80319c"
    }
    # a span for each piece of work: the request with its two calls, and three deliveries
    assert len({headers["traceparent"][36:52] for headers in seen}) >= 4


def test_events_in_one_batch_are_taken_in_like_events_alone(
    shop, admin_of, a_user, a_product, rows
):
    orders, users = admin_of("microservice3"), admin_of("microservice1")
    user_id, product = a_user("ada", "ada@customers.invalid"), a_product(price=10, stock=10)
    for number in range(5):
        orders.post(
            "/orders",
            json={"user_id": user_id, "items": [{"product_id": product, "quantity": 1}]},
            headers={"X-Request-ID": f"request-{number}"},
        )
    before = len(shop.network.calls)

    shop.work()

    sent = [call for call in shop.network.calls[before:] if call[2] == "/internal/events"]
    assert len(sent) == 4  # the user to notifications, five orders to each of three services
    assert left_over(rows, "microservice3") == []
    assert users.get(f"/users/{user_id}").json["points"] == 50
    assert admin_of("microservice2").get(f"/products/{product}").json["units_sold"] == 5
    assert len(admin_of("microservice4").get("/notifications").json) == 6
