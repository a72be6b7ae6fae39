"""What was not finished at once the worker finishes; what is unknown is never forgotten."""

import time

import pytest

from chassis import guard
from microservice3 import clients


def test_an_order_that_products_does_not_answer_is_promised_and_ends_by_itself(
    customer, place, a_product, stock, network, work, rows
):
    lamp = a_product(stock=5)
    network.down = {"microservice2"}

    answer = place(customer, (lamp, 2))

    assert answer.status_code == 202
    assert answer.json["status"] == "pending"
    assert answer.headers["Location"] == f"/api/service3/orders/{answer.json['id']}"
    assert answer.json["items"][0]["quantity"] == 2

    network.down = set()
    rows("UPDATE outbox SET due_at = now()")
    work()
    order = customer.get(f"/orders/{answer.json['id']}").json
    assert order["status"] == "confirmed"
    assert stock(lamp) == 3


def test_while_products_is_away_orders_are_promised_at_once_and_it_is_left_alone(
    customer, place, a_product, stock, network, work, rows
):
    lamp = a_product(stock=50)
    network.down, network.calls[:] = {"microservice2"}, []

    statuses = [place(customer, (lamp, 1)).status_code for _ in range(40)]

    assert statuses == [202] * 40
    assert len(network.calls) < 10

    network.down = set()
    time.sleep(guard.OPEN_SECONDS)
    rows("UPDATE outbox SET due_at = now()")
    work()
    assert stock(lamp) == 10


def test_an_answer_that_is_lost_holds_the_stock_once(
    customer, place, a_product, stock, network, work, rows
):
    lamp = a_product(stock=5)
    network.deaf = {"microservice2"}
    answer = place(customer, (lamp, 2))
    assert answer.status_code == 202

    network.deaf = set()
    rows("UPDATE outbox SET due_at = now()")
    work()

    assert customer.get(f"/orders/{answer.json['id']}").json["status"] == "confirmed"
    assert stock(lamp) == 3


def test_a_refusal_that_is_learnt_after_the_promise_ends_visibly_with_its_reason(
    customer, place, a_product, network, work, rows
):
    lamp = a_product(stock=1)
    network.down = {"microservice2"}
    order_id = place(customer, (lamp, 2), reference="PO-1").json["id"]

    network.down = set()
    rows("UPDATE outbox SET due_at = now()")
    work()

    order = customer.get(f"/orders/{order_id}").json
    assert order["status"] == "cancelled"
    assert "not enough" in order["reason"]
    assert place(customer, (lamp, 1), reference="PO-1").json["code"] == "reference_taken"


def test_a_cancellation_that_products_does_not_answer_goes_on_by_itself(
    customer, place, a_product, stock, network, work, rows
):
    lamp = a_product(stock=5)
    order_id = place(customer, (lamp, 2)).json["id"]
    network.down = {"microservice2"}

    answer = customer.patch(f"/orders/{order_id}", json={"status": "cancelled"})

    assert (answer.status_code, answer.json["status"]) == (202, "cancelling")
    network.down = set()
    rows("UPDATE outbox SET due_at = now()")
    work()
    assert customer.get(f"/orders/{order_id}").json["status"] == "cancelled"
    assert stock(lamp) == 5


def test_a_pending_order_can_be_cancelled_and_its_late_reservation_holds_nothing(
    customer, place, a_product, stock, network, work, rows
):
    lamp = a_product(stock=5)
    network.down = {"microservice2"}
    order_id = place(customer, (lamp, 2)).json["id"]
    network.down = set()

    answer = customer.patch(f"/orders/{order_id}", json={"status": "cancelled"})

    assert (answer.status_code, answer.json["status"]) == (200, "cancelled")
    rows("UPDATE outbox SET due_at = now()")
    work()
    assert customer.get(f"/orders/{order_id}").json["status"] == "cancelled"
    assert stock(lamp) == 5


def test_a_process_that_dies_between_the_steps_leaves_nothing_undone(
    customer, place, a_product, stock, network, work, rows, monkeypatch
):
    from microservice3.logic import saga

    lamp = a_product(stock=5)
    with monkeypatch.context() as patch:
        patch.setattr(saga, "_confirmed", lambda *_: 1 / 0)
        assert place(customer, (lamp, 2)).status_code == 500
    assert customer.get("/orders").json == []

    rows("UPDATE outbox SET due_at = now()")
    work()

    assert [order["status"] for order in customer.get("/orders").json] == ["confirmed"]
    assert stock(lamp) == 3


def test_without_users_an_order_for_somebody_else_is_refused_cleanly(
    admin, place, a_product, network
):
    lamp = a_product()
    network.down = {"microservice1"}

    answer = place(admin, (lamp, 1), user_id=7)

    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"]
    assert admin.get("/orders").json == []


def test_expand_names_what_could_not_be_had(customer, place, a_product, network):
    order_id = place(customer, (a_product(), 1)).json["id"]
    network.down = {"microservice1"}

    answer = customer.get(f"/orders/{order_id}?expand=user,products")

    assert answer.status_code == 200
    assert answer.json["unavailable"] == ["user"]
    assert len(answer.json["products"]) == 1


@pytest.fixture
def meanwhile(monkeypatch):
    """Returns a function: do this when Products has reserved, before its answer is heard."""

    def interrupt(happening):
        reserve = clients.reserve

        def reserve_and_more(order_id, items):
            entries = reserve(order_id, items)
            happening(order_id)
            return entries

        monkeypatch.setattr(clients, "reserve", reserve_and_more)

    return interrupt


def test_an_answer_that_comes_after_the_cancellation_changes_nothing(
    customer, place, a_product, stock, network, work, rows, meanwhile
):
    lamp = a_product(stock=5)
    network.down = {"microservice2"}
    order = f"/orders/{place(customer, (lamp, 2)).json['id']}"
    network.down = set()
    meanwhile(lambda _order_id: customer.patch(order, json={"status": "cancelled"}))

    rows("UPDATE outbox SET due_at = now()")
    work()

    assert customer.get(order).json["status"] == "cancelled"
    assert stock(lamp) == 5
    assert rows("SELECT count(*) FROM sales") == [(0,)]


def test_an_order_is_not_shown_before_its_client_was_told_of_it(
    customer, admin, place, a_product, meanwhile
):
    seen = []

    def look(order_id):
        for somebody in (customer, admin):
            seen.append(somebody.get("/orders").json)
            seen.append(somebody.get(f"/orders/{order_id}").status_code)
            seen.append(somebody.get(f"/orders/{order_id}/history").status_code)

    meanwhile(look)

    assert place(customer, (a_product(), 1)).status_code == 201
    assert seen == [[], 404, 404] * 2
