"""What an operator does with orders at a terminal."""

import pytest

from microservice3 import commands
from microservice3.errors import InvalidTransition
from microservice3.logic import settling


@pytest.fixture
def run(app, commands_of):
    return commands_of(commands)


@pytest.fixture
def settled(monkeypatch):
    """The numbers that were to be settled; 2 cannot be."""
    asked = []

    def settle(order_id):
        asked.append(order_id)
        if order_id == 2:
            raise InvalidTransition("is shipped, and what it needs is gone")
        return "is settled"

    monkeypatch.setattr(settling, "settle", settle)
    return asked


def test_each_order_is_settled_and_said(run, settled):
    code, said, _ = run("settle", stdin="1\n3\n")

    assert (code, settled) == (0, [1, 3])
    assert said == "order 1 is settled\norder 3 is settled"


def test_one_that_cannot_be_settled_keeps_none_from_it(run, settled):
    code, said, _ = run("settle", stdin="1\n2\n3\n")

    assert (code, settled) == (1, [1, 2, 3])
    assert "order 2 is shipped, and what it needs is gone: correct the stock" in said


def test_a_neighbour_that_is_away_is_said(run):
    code, _, complained = run("settle", stdin="1\n")

    assert code == 1
    assert "microservice1" in complained


def test_whether_there_are_orders_is_told(run, rows):
    assert run("has-orders") == (0, "no", "")
    rows(
        """
        INSERT INTO orders (user_id, requested, currency, placed_at)
        VALUES (7, '[]', 'EUR', '2026-01-31')
        """
    )

    assert run("has-orders") == (0, "yes", "")


@pytest.fixture
def tried(admin, customer, place, a_product):
    """A cancelled order of a smoke test by customer 7, and an order of theirs beside it."""
    order = place(customer, (a_product(), 1), reference="smoke-test").json["id"]
    place(customer, (a_product(), 1), reference="smoke-test-2")
    admin.patch(f"/orders/{order}", json={"status": "cancelled"})
    return order


def erased(rows, customer):
    """Which orders are left, by their references."""
    lines = {order for (order,) in rows("SELECT order_id FROM order_items")}
    history = {order for (order,) in rows("SELECT order_id FROM order_history")}
    assert lines == history == {order for (order,) in rows("SELECT id FROM orders")}
    return [order["reference"] for order in customer.get("/orders").json]


def test_a_test_order_is_erased_once_all_know_that_it_is_cancelled(
    run, tried, rows, work, customer
):
    code, _, complained = run("erase-test-order", stdin="7\n")
    assert code == 1
    assert complained == "the test order of user 7 is not cancelled yet, or not everywhere"
    assert len(customer.get("/orders").json) == 2

    work()

    assert run("erase-test-order", stdin="7\n") == (0, "", "")
    assert erased(rows, customer) == ["smoke-test-2"]
    assert run("erase-test-order", stdin="7\n") == (0, "", "")


@pytest.mark.parametrize("status", ["confirmed", "shipped"])
def test_a_test_order_that_stands_is_not_erased(
    run, admin, customer, place, a_product, work, status
):
    order = place(customer, (a_product(), 1), reference="smoke-test").json["id"]
    admin.patch(f"/orders/{order}", json={"status": status})
    work()

    code, _, _ = run("erase-test-order", stdin="7\n")

    assert code != 0
    assert len(customer.get("/orders").json) == 1
