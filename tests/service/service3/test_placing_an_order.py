from decimal import Decimal

import pytest

from chassis import testing, wire
from tests.service.conftest import CUSTOMER


def exact(answer):
    """The body with its amounts as they were written."""
    return wire.loads(answer.data)


def test_an_order_is_confirmed_with_the_prices_of_the_shop(customer, place, a_product, stock):
    lamp = a_product(sku="LAMP", name="Desk lamp", price=29.9, stock=5)

    answer = place(customer, (lamp, 2))

    order = exact(answer)
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/service3/orders/{order['id']}"
    assert order["status"] == "confirmed"
    assert order["user_id"] == CUSTOMER
    assert order["items"] == [
        {
            "product_id": lamp.id,
            "sku": "LAMP",
            "name": "Desk lamp",
            "quantity": 2,
            "unit_price": Decimal("29.90"),
            "line_total": Decimal("59.80"),
        }
    ]
    assert (order["subtotal"], order["discount"], order["total"]) == (
        Decimal("59.80"),
        Decimal("0.00"),
        Decimal("59.80"),
    )
    assert stock(lamp) == 3


def test_amounts_go_over_the_wire_with_exactly_two_decimals(customer, place, a_product):
    assert b'"total":60.00' in place(customer, (a_product(price=30), 2)).data


def test_an_order_needs_one_call_to_a_neighbour_and_no_more(customer, place, a_product, network):
    lamp = a_product()

    place(customer, (lamp, 1))

    assert [call[:2] for call in network.calls] == [("microservice2", "PUT")]


def test_lines_stay_as_they_were_sent_and_in_their_order(customer, place, a_product):
    lamp, shade = a_product(), a_product()

    order = place(customer, (lamp, 1), (shade, 2), (lamp, 3)).json

    lines = [(line["product_id"], line["quantity"]) for line in order["items"]]
    assert lines == [(lamp.id, 1), (shade.id, 2), (lamp.id, 3)]


def test_more_than_there_is_leaves_no_order_and_takes_nothing(customer, place, a_product, stock):
    lamp = a_product(stock=2)

    answer = place(customer, (lamp, 3), reference="PO-1")

    assert answer.status_code == 409
    assert answer.json["code"] == "out_of_stock"
    assert answer.json["lines"] == [
        {"line": 0, "product_id": lamp.id, "requested": 3, "available": 2}
    ]
    assert customer.get("/orders").json == []
    assert stock(lamp) == 2


def test_a_refused_order_does_not_take_its_reference(customer, place, a_product):
    lamp = a_product(stock=2)
    assert place(customer, (lamp, 3), reference="PO-1").status_code == 409

    assert place(customer, (lamp, 1), reference="PO-1").status_code == 201


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "k-2"}])
def test_the_second_of_two_orders_with_a_reference_at_once_is_a_conflict(
    customer, place, a_product, rows, key
):
    """As long as the first may still be refused, the answer to the second is not final."""
    lamp = a_product()
    first = place(customer, (lamp, 1), reference="PO-1").json
    rows("UPDATE orders SET shown = false, state = 'pending'")  # as while Products is asked
    body = {"items": [{"product_id": lamp.id, "quantity": 1}], "reference": "PO-1"}

    second = customer.post("/orders", json=body, headers=key)
    rows("UPDATE orders SET shown = true, state = 'confirmed'")
    third = customer.post("/orders", json=body, headers=key)

    assert (second.status_code, second.json["code"]) == (409, "reference_in_progress")
    assert (third.status_code, third.json["code"]) == (409, "reference_taken")
    assert third.json["order_id"] == first["id"]


@pytest.mark.parametrize("moment", ["1969-12-31T23:59:59.999Z", "0001-01-01T00:00:00Z"])
def test_an_order_was_not_placed_before_1970(admin, place, a_product, moment):
    lamp = a_product()

    refused = place(admin, (lamp, 1), placed_at=moment)

    assert refused.status_code == 422
    assert refused.json["errors"]["json"]["placed_at"] == ["Must not be before 1970."]
    taken = place(admin, (lamp, 1), placed_at="1970-01-01T00:00:00.0000001Z")
    assert (taken.status_code, taken.json["placed_at"]) == (201, "1970-01-01T00:00:00Z")


def test_a_reference_is_unique_for_a_user(customer, other_customer, place, a_product):
    lamp = a_product()
    first = place(customer, (lamp, 1), reference="PO-1").json

    again = place(customer, (lamp, 1), reference="PO-1")

    assert (again.status_code, again.json["code"]) == (409, "reference_taken")
    assert again.json["order_id"] == first["id"]
    assert place(other_customer, (lamp, 1), reference="PO-1").status_code == 201


def test_an_unknown_product_is_named_by_its_line(customer, place, a_product, network):
    lamp = a_product()
    body = {"items": [{"product_id": lamp.id, "quantity": 1}, {"product_id": 4711, "quantity": 1}]}

    answer = customer.post("/orders", json=body)

    assert (answer.status_code, answer.json["code"]) == (422, "product_not_found")
    assert answer.json["lines"] == [{"line": 1, "product_id": 4711}]


def test_an_order_for_more_than_can_be_charged_is_refused_and_gives_its_stock_back(
    customer, place, a_product, stock
):
    yacht = a_product(price=9_999_999_999.99, stock=5)

    answer = place(customer, (yacht, 2))

    assert (answer.status_code, answer.json["code"]) == (422, "total_too_large")
    assert stock(yacht) == 5
    assert customer.get("/orders").json == []


def test_an_administrator_orders_for_others_at_their_price_and_date(
    admin, place, a_product, network, shop
):
    lamp = a_product(price=29.90)
    ada = network_user(network, "ada")

    answer = admin.post(
        "/orders",
        json={
            "user_id": ada,
            "placed_at": "2010-12-01T08:26:00Z",
            "items": [{"product_id": lamp.id, "quantity": 2, "unit_price": 2.55}],
        },
    )

    assert answer.status_code == 201
    assert answer.json["user_id"] == ada
    assert answer.json["placed_at"] == "2010-12-01T08:26:00Z"
    assert exact(answer)["total"] == Decimal("5.10")


def test_an_order_for_a_user_who_does_not_exist_is_refused(admin, place, a_product):
    answer = place(admin, (a_product(), 1), user_id=4711)

    assert (answer.status_code, answer.json["code"]) == (422, "user_not_found")


@pytest.mark.parametrize(
    "field", [{"user_id": CUSTOMER}, {"placed_at": "2010-12-01T08:26:00Z"}], ids=str
)
def test_a_customer_may_not_set_what_is_an_administrators(customer, place, a_product, field):
    answer = place(customer, (a_product(), 1), **field)

    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")


def test_a_customer_may_not_set_a_price(customer, a_product):
    items = [{"product_id": a_product().id, "quantity": 1, "unit_price": 0.01}]

    assert customer.post("/orders", json={"items": items}).status_code == 403


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "items"),
        ({"items": []}, "items"),
        ({"items": [{"product_id": 1, "quantity": 0}]}, "items"),
        ({"items": [{"product_id": 1, "quantity": 1_000_001}]}, "items"),
        ({"items": [{"product_id": 1, "quantity": 1.5}]}, "items"),
        ({"items": [{"product_id": 1, "quantity": "1"}]}, "items"),
        ({"items": [{"product_id": 1, "quantity": True}]}, "items"),
        ({"items": [{"product_id": 2**63, "quantity": 1}]}, "items"),
        ({"items": [{"quantity": 1}]}, "items"),
        ({"items": [{"product_id": 1, "quantity": 1}] * 1001}, "items"),
        ({"items": [{"product_id": 1, "quantity": 1, "price": 1}]}, "items"),
        ({"items": [{"product_id": 1, "quantity": 1}], "reference": ""}, "reference"),
        ({"items": [{"product_id": 1, "quantity": 1}], "reference": "x" * 101}, "reference"),
        ({"items": [{"product_id": 1, "quantity": 1}], "reference": "a\0b"}, "reference"),
        ({"items": [{"product_id": 1, "quantity": 1}], "redeem_points": -1}, "redeem_points"),
        (
            {"items": [{"product_id": 1, "quantity": 1}], "placed_at": "2999-01-01T00:00:00Z"},
            "placed_at",
        ),
        ({"items": [{"product_id": 1, "quantity": 1}], "placed_at": "2010-12-01"}, "placed_at"),
        (
            {"items": [{"product_id": 1, "quantity": 1}], "placed_at": "2010-02-30T00:00:00Z"},
            "placed_at",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_bad_input_is_named_and_nothing_is_stored(admin, rows, body, where):
    answer = admin.post("/orders", json=body)

    assert (answer.status_code, answer.json["code"]) == (422, "invalid")
    assert where in answer.json["errors"]["json"]
    assert rows("SELECT count(*) FROM orders") == [(0,)]


def test_an_anonymous_order_is_refused(anonymous):
    answer = anonymous.post("/orders", json={"items": [{"product_id": 1, "quantity": 1}]})

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def network_user(network, username):
    users = testing.Client(network.apps["microservice1"])
    body = {"username": username, "email": f"{username}@example.com"}
    return users.post("/users", json=body).json["id"]
