"""Each function of microservice3.clients against the real application that it calls."""

from decimal import Decimal

import pytest

from microservice3 import clients
from microservice3.errors import OutOfStock, ProductNotFound, TooLate


@pytest.fixture(autouse=True)
def _as_orders(shop):
    with shop.services["microservice3"].active():
        yield


def line(product_id, quantity):
    return {"product_id": product_id, "quantity": quantity}


def test_a_reservation_answers_with_an_entry_for_each_line(a_product):
    product = a_product(price=29.9)

    entries = clients.reserve(7, [line(product, 1), line(product, 2)])

    assert entries == [
        {
            "product_id": product,
            "quantity": quantity,
            "sku": "LAMP",
            "name": "Desk lamp",
            "price": Decimal("29.90"),
        }
        for quantity in (1, 2)
    ]


def test_too_little_stock_is_told_line_by_line(a_product):
    product = a_product(stock=1)

    with pytest.raises(OutOfStock) as refusal:
        clients.reserve(7, [line(product, 2)])

    assert refusal.value.extra == {
        "lines": [{"line": 0, "product_id": product, "requested": 2, "available": 1}]
    }


def test_an_unknown_product_is_told_line_by_line():
    with pytest.raises(ProductNotFound) as refusal:
        clients.reserve(7, [line(4711, 1)])

    assert refusal.value.extra == {"lines": [{"line": 0, "product_id": 4711}]}


def test_what_was_released_can_no_longer_be_reserved(a_product):
    product = a_product()
    clients.release(7)

    with pytest.raises(TooLate):
        clients.reserve(7, [line(product, 1)])


def test_a_reservation_can_be_released_as_often_as_one_likes(a_product):
    clients.reserve(7, [line(a_product(), 1)])

    for _ in range(2):
        clients.release(7)


def test_a_user_is_found_or_is_not(a_user):
    user_id = a_user("ada")

    assert clients.find_user(user_id)["username"] == "ada"
    assert clients.find_user(4711) is None


def test_products_are_listed_by_their_numbers_many_at_once(a_product):
    found = [a_product(sku=f"S{number}") for number in range(3)]

    listed = clients.list_products([*found, *range(1000, 1150)])

    assert [product["id"] for product in listed] == found
    assert {"sku", "name", "price", "stock"} <= set(listed[0])
