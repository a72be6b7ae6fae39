import threading

import pytest

from chassis.database import transaction
from microservice4 import database

TYPES_WITH_EMAIL = [
    "user.registered",
    "user.promoted",
    "order.confirmed",
    "order.shipped",
    "order.delivered",
    "order.cancelled",
]


def statuses(notifications):
    return [(entry["event_type"], entry["status"]) for entry in notifications()]


@pytest.mark.parametrize("event_type", TYPES_WITH_EMAIL)
def test_each_of_six_events_becomes_an_email_to_its_user(
    event_type, user_event, order_event, notifications
):
    user_event("user.updated")

    (user_event if event_type.startswith("user.") else order_event)(event_type)

    (found,) = notifications()
    assert (found["event_type"], found["user_id"], found["status"]) == (event_type, 7, "queued")
    assert found["recipient"] == "ada@example.com"
    assert "Dear Ada Lovelace" in found["body"]
    assert found["order_id"] == (12 if event_type.startswith("order.") else None)


@pytest.mark.parametrize("event_type", ["user.updated", "user.deleted"])
def test_other_news_of_a_user_make_no_email(event_type, user_event, notifications):
    user_event(event_type)

    assert notifications() == []


def test_the_same_event_twice_is_one_notification(user_event, notifications):
    user_event("user.registered", id="the-same")
    user_event("user.registered", id="the-same")

    assert len(notifications()) == 1


def test_an_event_that_comes_again_does_not_bring_back_an_old_address(
    user_event, order_event, notifications
):
    user_event("user.updated", id="first", email="old@example.com")
    user_event("user.updated", id="second", email="new@example.com")

    user_event("user.updated", id="first", email="old@example.com")
    order_event("order.confirmed")

    assert [entry["recipient"] for entry in notifications()] == ["new@example.com"]


def test_an_event_that_the_inbox_has_forgotten_makes_no_second_notification(
    user_event, notifications, rows
):
    user_event("user.registered", id="the-same")
    rows("DELETE FROM inbox")

    user_event("user.registered", id="the-same")

    assert len(notifications()) == 1
    assert rows("SELECT count(*) FROM outbox") == [(1,)]


def test_an_order_confirmed_before_its_user_is_known_waits_for_the_address(
    order_event, user_event, notifications, rows
):
    order_event("order.confirmed")
    (waiting,) = notifications()
    assert (waiting["status"], waiting["recipient"], waiting["body"]) == ("queued", None, None)
    assert rows("SELECT count(*) FROM outbox") == [(0,)]

    user_event("user.registered")

    order, welcome = notifications()
    assert (order["recipient"], order["status"]) == ("ada@example.com", "queued")
    assert "Desk lamp" in order["body"]
    assert welcome["event_type"] == "user.registered"
    assert rows("SELECT count(*) FROM outbox") == [(2,)]


def test_what_waited_for_the_address_goes_out_in_the_order_in_which_it_came(
    order_event, user_event, work, postbox
):
    order_event("order.confirmed", version=1)
    order_event("order.shipped", version=2)

    user_event("user.updated")
    work()

    subjects = [line for mail in postbox.envelopes for line in mail.content.split(b"\r\n")]
    subjects = [line for line in subjects if line.startswith(b"Subject:")]
    assert subjects == [
        b"Subject: Your order 12 is confirmed",
        b"Subject: Your order 12 is on its way",
    ]


def test_the_address_of_an_older_version_does_not_replace_a_newer_one(
    user_event, order_event, notifications
):
    user_event("user.updated", version=3, email="new@example.com")
    user_event("user.updated", version=2, email="old@example.com")

    order_event("order.confirmed")

    assert [entry["recipient"] for entry in notifications()] == ["new@example.com"]


def test_news_without_a_version_are_taken_for_the_latest(user_event, order_event, notifications):
    user_event("user.updated", version=3, email="old@example.com")
    user_event("user.updated", email="new@example.com")

    order_event("order.confirmed")

    assert [entry["recipient"] for entry in notifications()] == ["new@example.com"]


def test_a_promotion_that_comes_late_is_told_but_changes_no_address(user_event, notifications):
    user_event("user.updated", version=3, email="new@example.com")

    user_event("user.promoted", version=2, email="old@example.com", status="Gold")

    (found,) = notifications()
    assert (found["recipient"], found["subject"]) == ("new@example.com", "You are now Gold")


def test_a_deleted_user_gets_no_email_and_what_waits_is_given_up(
    user_event, order_event, notifications, work, postbox
):
    user_event("user.updated")
    order_event("order.confirmed", version=1)

    user_event("user.deleted")
    order_event("order.shipped", version=2)
    work()

    assert statuses(notifications) == [
        ("order.confirmed", "suppressed"),
        ("order.shipped", "suppressed"),
    ]
    assert {entry["last_error"] for entry in notifications()} == {"the user has been deleted"}
    assert postbox.envelopes == []


def test_a_user_deleted_before_anything_was_told_stays_deleted(
    user_event, order_event, notifications, rows
):
    order_event("order.confirmed")

    user_event("user.deleted", version=3)
    user_event("user.registered", version=1)
    user_event("user.updated", version=4)

    assert statuses(notifications) == [
        ("order.confirmed", "suppressed"),
        ("user.registered", "suppressed"),
    ]
    assert rows("SELECT email FROM contacts") == [(None,)]


def test_name_and_address_of_a_deleted_user_are_forgotten(user_event, rows):
    user_event("user.registered", version=1)

    user_event("user.deleted", version=2)

    assert rows("SELECT username, email, full_name, deleted FROM contacts") == [
        (None, None, None, True)
    ]
    assert "Lovelace" not in str(rows("SELECT facts FROM notifications"))


def test_a_confirmation_that_comes_after_the_cancellation_is_not_told(
    user_event, order_event, notifications
):
    user_event("user.updated")

    order_event("order.cancelled", version=3)
    order_event("order.confirmed", version=2)

    cancelled, confirmed = notifications()
    assert cancelled["status"] == "queued"
    assert confirmed["status"] == "suppressed"
    assert confirmed["last_error"].startswith("overtaken")


def test_a_confirmation_overtaken_while_the_address_was_unknown_is_not_told_either(
    user_event, order_event, notifications
):
    order_event("order.cancelled", version=3)
    order_event("order.confirmed", version=2)

    user_event("user.updated")

    assert statuses(notifications) == [
        ("order.cancelled", "queued"),
        ("order.confirmed", "suppressed"),
    ]


def test_one_order_does_not_overtake_another(user_event, order_event, notifications):
    user_event("user.updated")

    order_event("order.cancelled", order_id=12, version=3)
    order_event("order.confirmed", order_id=13, version=1)

    assert [entry["status"] for entry in notifications()] == ["queued", "queued"]


@pytest.mark.parametrize(
    "email", ["ada@customers.invalid", "ada@CUSTOMERS.Invalid", "ada@invalid", "ada@a.b.invalid."]
)
def test_an_address_that_cannot_exist_gets_a_recorded_email_that_is_not_sent(
    email, user_event, notifications, rows
):
    user_event("user.registered", email=email)

    (found,) = notifications()
    assert (found["status"], found["recipient"]) == ("suppressed", email)
    assert found["subject"] == "Welcome to Quartet"
    assert rows("SELECT count(*) FROM outbox") == [(0,)]


@pytest.mark.parametrize("email", ["ada@notinvalid.example", "ada@invalid.example", "a@notinvalid"])
def test_an_address_that_only_looks_like_it_is_written_to(email, user_event, notifications):
    user_event("user.registered", email=email)

    assert [entry["status"] for entry in notifications()] == ["queued"]


def test_an_order_and_its_user_that_come_at_the_same_time_do_not_miss_each_other(
    user_event, order_event, notifications, rows
):
    for user_id in range(100, 120):
        both = [
            threading.Thread(
                target=order_event,
                args=("order.confirmed",),
                kwargs={"user_id": user_id, "order_id": user_id},
            ),
            threading.Thread(target=user_event, args=("user.updated", user_id)),
        ]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()

    assert len(notifications()) == 20
    assert {entry["recipient"] for entry in notifications()} == {"ada@example.com"}
    assert rows("SELECT count(*) FROM outbox") == [(20,)]


def test_an_order_is_not_taken_in_while_its_contact_is_being_changed(
    order_event, tell, service, notifications
):
    order_event("order.confirmed", version=1)
    order = {"order_id": 12, "user_id": 7, "version": 2, "currency": "EUR", "items": []}

    with service.active(), transaction() as tx:
        database.lock_contact(tx, 7)
        meanwhile = tell("order.shipped", id="shipped", **order)
    afterwards = tell("order.shipped", id="shipped", **order)

    assert (meanwhile.status_code, meanwhile.json["code"]) == (503, "unavailable")
    assert afterwards.status_code == 204
    assert len(notifications()) == 2


def test_an_order_of_many_lines_is_listed_in_full(user_event, order_event, notifications):
    user_event("user.updated")
    lines = [
        {"product_id": number, "name": f"Item {number}", "quantity": 1, "unit_price": 1.5}
        for number in range(1, 594)
    ]

    order_event("order.confirmed", items=lines, total=889.5)

    (found,) = notifications()
    assert all(f"1 x Item {number}, 1.50 EUR each" in found["body"] for number in range(1, 594))
    assert "Total: 889.50 EUR" in found["body"]


def test_a_cancellation_says_why(user_event, order_event, notifications):
    user_event("user.updated")

    order_event("order.cancelled", reason="Out of stock")

    assert "Reason: Out of stock" in notifications()[0]["body"]


def test_an_order_refused_before_it_had_prices_can_be_told(user_event, order_event, notifications):
    user_event("user.updated")
    bare = {"product_id": 4711, "quantity": 2, "name": None, "unit_price": None}

    order_event("order.cancelled", total=None, items=[bare], reason=None)

    (found,) = notifications()
    assert "2 x product 4711" in found["body"]
    assert "Total" not in found["body"]
    assert "Reason" not in found["body"]


def test_what_nobody_here_needs_is_let_by(order_event, user_event, notifications):
    user_event("user.updated", shoe_size=38)

    order_event("order.confirmed", weather="fine")

    assert len(notifications()) == 1


@pytest.mark.parametrize(
    ("event_type", "data", "where"),
    [
        ("order.paid", {"order_id": 12}, "type"),
        ("user.registered", {"user_id": 7}, "data"),
        ("user.registered", {"user_id": "7", "username": "a", "email": "a@b.example"}, "data"),
        ("user.promoted", {"user_id": 7, "username": "a", "email": "a@b.example"}, "data"),
        ("user.deleted", {}, "data"),
        ("user.updated", {"user_id": 7, "username": "a\0", "email": "a@b.example"}, "data"),
        ("order.confirmed", {"order_id": 12}, "data"),
        (
            "order.confirmed",
            {"order_id": 2**63, "user_id": 7, "version": 1, "currency": "EUR", "items": []},
            "data",
        ),
    ],
)
def test_an_event_that_makes_no_sense_is_refused_and_leaves_nothing(
    event_type, data, where, tell, notifications, rows
):
    answer = tell(event_type, **data)

    assert (answer.status_code, answer.json["code"]) == (422, "invalid")
    assert where in answer.json["errors"]["json"]
    assert notifications() == []
    assert rows("SELECT count(*) FROM inbox") == [(0,)]


def test_what_is_not_json_is_refused(orders_service):
    answer = orders_service.post(
        "/internal/events", data=b'{"id": NaN}', content_type="application/cloudevents+json"
    )

    assert (answer.status_code, answer.json["code"]) == (400, "malformed_json")


def test_only_the_users_and_the_orders_service_may_tell(
    anonymous, customer, admin, products_service, notifications_service
):
    for neighbour in (products_service, notifications_service):
        assert neighbour.post("/internal/events", json={}).status_code == 403
    for stranger in (anonymous, customer, admin):
        answer = stranger.post("/internal/events", json={})
        assert (answer.status_code, answer.json["code"]) == (404, "no_route")
