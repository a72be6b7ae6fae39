"""One service alone has gone back to a backup: the saga makes the others agree with it."""

import pytest

from microservice3.errors import InvalidTransition
from microservice3.logic import settling
from tests.restoring import remember


@pytest.fixture
def moment(databases):
    """Returns a function that remembers a service's rows, and returns one that restores them."""

    return lambda name: remember(databases(name))


@pytest.fixture
def settle(service, work):
    """Returns a function that settles an order twice, and lets the worker tell what follows."""

    def twice(order_id):
        with service.active():
            said = settling.settle(order_id)
            settling.settle(order_id)
        work()
        return said

    return twice


@pytest.fixture
def ada(accounts):
    return accounts("ada", points=1_000)


def test_what_is_held_for_an_order_that_is_forgotten_is_given_back(
    ada, a_product, place, stock, work, moment, settle
):
    lamp = a_product(stock=10)
    restore = moment("microservice3")
    order_id = place(ada.client, (lamp, 2), redeem_points=100).json["id"]
    restore()

    assert "not known" in settle(order_id)

    assert (stock(lamp), ada.balance()) == (10, 1_000)


def test_a_cancellation_that_is_forgotten_is_made_again(
    ada, a_product, place, stock, work, moment, settle
):
    lamp = a_product(stock=10, price=10)
    order_id = place(ada.client, (lamp, 2), redeem_points=100).json["id"]
    work()
    restore = moment("microservice3")
    ada.client.patch(f"/orders/{order_id}", json={"status": "cancelled"})
    work()
    restore()

    assert "is cancelled" in settle(order_id)

    order = ada.client.get(f"/orders/{order_id}").json
    assert (order["status"], order["reason"]) == (
        "cancelled",
        "Cancelled by the shop: The order has been given up",
    )
    assert (stock(lamp), ada.balance()) == (10, 1_000)


def test_stock_that_products_has_forgotten_to_hold_is_held_again(
    ada, a_product, place, stock, work, moment, settle, shop
):
    lamp = a_product(stock=10)
    restore = moment("microservice2")
    order_id = place(ada.client, (lamp, 2)).json["id"]
    work()
    restore()
    assert stock(lamp) == 10

    assert "what it needs is held" in settle(order_id)

    assert stock(lamp) == 8
    assert shop.get(f"/products/{lamp.id}").json["units_sold"] == 2


def test_an_order_whose_stock_was_sold_to_others_meanwhile_is_cancelled(
    ada, a_product, place, stock, work, moment, settle, shop
):
    lamp = a_product(stock=2)
    restore = moment("microservice2")
    order_id = place(ada.client, (lamp, 2), redeem_points=100).json["id"]
    work()
    restore()
    shop.post(f"/products/{lamp.id}/stock", json={"delta": -1, "reason": "sold"})

    assert "is cancelled" in settle(order_id)

    order = ada.client.get(f"/orders/{order_id}").json
    assert order["status"] == "cancelled"
    assert (stock(lamp), ada.balance()) == (1, 1_000)


def test_one_that_was_sent_already_is_left_to_people(
    ada, a_product, place, work, moment, service, shop, accounts, as_user
):
    lamp = a_product(stock=2)
    restore = moment("microservice2")
    order_id = place(ada.client, (lamp, 2)).json["id"]
    as_user(1, "admin").patch(f"/orders/{order_id}", json={"status": "shipped"})
    restore()
    shop.post(f"/products/{lamp.id}/stock", json={"delta": -1, "reason": "sold"})

    with service.active(), pytest.raises(InvalidTransition, match="is shipped, and what it needs"):
        settling.settle(order_id)

    assert ada.client.get(f"/orders/{order_id}").json["status"] == "shipped"


def test_points_that_users_has_forgotten_are_spent_and_earned_again(
    ada, a_product, place, work, moment, settle
):
    lamp = a_product(price=10)
    restore = moment("microservice1")
    order_id = place(ada.client, (lamp, 2), redeem_points=100).json["id"]
    work()
    assert ada.balance() == 1_000 - 100 + 19
    restore()

    assert "what it needs is held" in settle(order_id)

    assert ada.balance() == 1_000 - 100 + 19


def test_an_order_that_fell_holds_nothing(ada, a_product, place, stock, work, moment, settle):
    lamp = a_product(stock=10, price=10)
    order_id = place(ada.client, (lamp, 2)).json["id"]
    work()
    restore = moment("microservice2")
    ada.client.patch(f"/orders/{order_id}", json={"status": "cancelled"})
    work()
    restore()
    assert stock(lamp) == 8

    assert "is cancelled: what was held" in settle(order_id)

    assert stock(lamp) == 10


def test_an_order_under_way_is_left_to_the_worker(ada, a_product, place, network, settle):
    network.down = {"microservice2"}
    order_id = place(ada.client, (a_product(), 1)).json["id"]

    assert "the worker ends it" in settle(order_id)
