"""Points in payment: taken once, given back whenever the order does not stand."""

import pytest


@pytest.fixture
def ada(accounts):
    """A customer with 1,000 points to spend."""
    return accounts("ada", points=1_000)


@pytest.fixture
def ended(work, rows, network):
    """Returns a function: everybody is back, and the worker does all there is."""

    def end():
        network.down = network.deaf = set()
        rows("UPDATE outbox SET due_at = now()")
        work()

    return end


def test_points_lower_the_total_and_are_taken(ada, place, a_product):
    answer = place(ada.client, (a_product(price=29.90), 2), redeem_points=980)

    assert answer.status_code == 201
    order = answer.json
    amounts = [str(order[name]) for name in ("subtotal", "discount", "total", "redeem_points")]
    assert amounts == ["59.80", "9.80", "50.00", "980"]
    assert ada.balance() == 20


def test_points_are_earned_on_what_was_paid(ada, place, a_product, work):
    place(ada.client, (a_product(price=10), 2), redeem_points=1_000)
    work()

    assert ada.balance() == 10


def test_an_order_can_be_paid_in_points_alone(ada, place, a_product):
    assert place(ada.client, (a_product(price=10), 1), redeem_points=1_000).json["total"] == 0


def test_points_worth_more_than_the_order_are_refused_and_nothing_is_kept(
    ada, place, a_product, stock, work
):
    lamp = a_product(price=9.99, stock=5)

    answer = place(ada.client, (lamp, 1), redeem_points=1_000, reference="PO-1")

    assert (answer.status_code, answer.json["code"]) == (422, "redeem_too_much")
    work()
    assert (stock(lamp), ada.balance()) == (5, 1_000)
    assert ada.client.get("/orders").json == []
    assert place(ada.client, (lamp, 1), reference="PO-1").status_code == 201


def test_more_points_than_there_are_is_refused_with_both_figures(
    ada, place, a_product, stock, work
):
    lamp = a_product(price=29.90, stock=5)

    answer = place(ada.client, (lamp, 1), redeem_points=1_001)

    assert (answer.status_code, answer.json["code"]) == (409, "not_enough_points")
    assert (answer.json["requested"], answer.json["balance"]) == (1_001, 1_000)
    work()
    assert (stock(lamp), ada.balance()) == (5, 1_000)
    assert ada.client.get("/orders").json == []


def test_a_cancellation_gives_points_and_stock_back(ada, place, a_product, stock, work):
    lamp = a_product(price=10, stock=5)
    order = place(ada.client, (lamp, 2), redeem_points=500).json
    work()

    answer = ada.client.patch(f"/orders/{order['id']}", json={"status": "cancelled"})

    assert (answer.status_code, answer.json["status"]) == (200, "cancelled")
    work()
    assert (stock(lamp), ada.balance()) == (5, 1_000)


@pytest.mark.parametrize("fault", ["down", "deaf"])
def test_users_that_do_not_answer_are_asked_again_and_take_the_points_once(
    ada, place, a_product, stock, network, ended, fault
):
    lamp = a_product(price=10, stock=5)
    setattr(network, fault, {"microservice1"})

    answer = place(ada.client, (lamp, 2), redeem_points=500)

    assert (answer.status_code, answer.json["status"]) == (202, "pending")
    ended()
    assert ada.client.get(f"/orders/{answer.json['id']}").json["status"] == "confirmed"
    assert (stock(lamp), ada.balance()) == (3, 1_000 - 500 + 15)


def test_a_lack_of_points_that_is_learnt_after_the_promise_ends_visibly(
    ada, place, a_product, stock, network, ended
):
    lamp = a_product(price=100, stock=5)
    network.down = {"microservice1"}
    order = place(ada.client, (lamp, 1), redeem_points=2_000).json

    ended()

    found = ada.client.get(f"/orders/{order['id']}").json
    assert found["status"] == "cancelled"
    assert "points" in found["reason"]
    assert (stock(lamp), ada.balance()) == (5, 1_000)


@pytest.mark.parametrize("fault", ["down", "deaf"])
def test_an_order_that_waits_for_its_points_can_be_cancelled_and_keeps_none(
    ada, place, a_product, stock, network, ended, fault
):
    """With `deaf` the points are taken and nobody knows; with `down` a tombstone keeps them."""
    lamp = a_product(price=10, stock=5)
    setattr(network, fault, {"microservice1"})
    order = f"/orders/{place(ada.client, (lamp, 2), redeem_points=500).json['id']}"

    answer = ada.client.patch(order, json={"status": "cancelled"})

    assert (answer.status_code, answer.json["status"]) == (202, "cancelling")
    ended()
    assert ada.client.get(order).json["status"] == "cancelled"
    assert (stock(lamp), ada.balance()) == (5, 1_000)
    statuses = [change["to"] for change in ada.client.get(f"{order}/history").json]
    assert statuses == ["pending", "cancelling", "cancelled"]


def test_orders_that_wait_are_found_by_the_status_that_is_shown(ada, place, a_product, network):
    network.down = {"microservice1"}
    waiting = place(ada.client, (a_product(price=10), 1), redeem_points=500).json["id"]

    assert [order["id"] for order in ada.client.get("/orders?status=pending").json] == [waiting]
    ada.client.patch(f"/orders/{waiting}", json={"status": "cancelled"})
    assert [order["id"] for order in ada.client.get("/orders?status=cancelling").json] == [waiting]


def test_without_points_one_neighbour_is_called_once(ada, place, a_product, network):
    lamp = a_product()
    network.calls.clear()

    order = place(ada.client, (lamp, 1)).json

    assert network.calls == [
        ("microservice2", "PUT", f"/internal/reservations/{order['id']}"),
    ]


def test_an_administrator_redeems_the_points_of_whom_they_order_for(ada, admin, place, a_product):
    place(admin, (a_product(price=10), 1), user_id=ada.id, redeem_points=300)

    assert ada.balance() == 700
