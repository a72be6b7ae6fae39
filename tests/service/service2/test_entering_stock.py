import pytest


def enter(admin, product, delta, **fields):
    body = {"delta": delta, "reason": "Delivery", **fields}
    return admin.post(f"/products/{product.id}/stock", json=body)


def test_what_came_can_be_bought(admin, a_product):
    lamp = a_product(stock=2)

    answer = enter(admin, lamp, 5)

    assert (answer.status_code, answer.json["stock"]) == (200, 7)
    assert answer.json["version"] == 1


def test_more_than_there_is_cannot_go(admin, a_product):
    lamp = a_product(stock=2)

    answer = enter(admin, lamp, -3)

    assert (answer.status_code, answer.json["code"]) == (409, "out_of_stock")
    assert admin.get(f"/products/{lamp.id}").json["stock"] == 2
    assert len(admin.get(f"/products/{lamp.id}/stock").json) == 1


def test_a_reference_is_entered_once_for_a_product(admin, a_product):
    lamp, shade = a_product(stock=0), a_product(stock=0)
    enter(admin, lamp, 5, reference="DN-1")

    again = enter(admin, lamp, -100, reference="DN-1")

    assert (again.status_code, again.json["code"]) == (409, "reference_taken")
    assert admin.get(f"/products/{lamp.id}").json["stock"] == 5
    assert enter(admin, shade, 5, reference="DN-1").status_code == 200


def test_entries_are_listed_with_the_opening_stock_first(admin, a_product):
    lamp = a_product(stock=2)
    enter(admin, lamp, 5, reference="DN-1")

    entries = admin.get(f"/products/{lamp.id}/stock").json

    assert [(entry["delta"], entry["reference"]) for entry in entries] == [(2, None), (5, "DN-1")]
    assert list(entries[0]) == ["id", "delta", "reason", "reference", "created_at"]
    found = admin.get(f"/products/{lamp.id}/stock?reference=DN-1").json
    assert [entry["delta"] for entry in found] == [5]
    assert admin.get(f"/products/{lamp.id}/stock?limit=1&page=2").json == entries[1:]


def test_a_product_without_stock_has_no_opening_entry(admin, a_product):
    assert admin.get(f"/products/{a_product(stock=0).id}/stock").json == []


@pytest.mark.parametrize(
    "body",
    [
        {"delta": 0},
        {"delta": 1.5},
        {"delta": "1"},
        {"delta": 10**10},
        {"reason": ""},
        {"reference": "x" * 101},
        {"delta": None},
    ],
    ids=str,
)
def test_bad_input_is_refused(admin, a_product, body):
    answer = enter(admin, a_product(), **{"delta": 1, **body})

    assert answer.status_code == 422


def test_an_unknown_product_has_no_stock(admin):
    body = {"delta": 1, "reason": "Delivery"}

    assert admin.post("/products/4711/stock", json=body).status_code == 404
    assert admin.get("/products/4711/stock").status_code == 404


def test_what_is_left_and_what_is_held_add_up_to_what_was_entered(
    admin, orders_service, a_product, rows
):
    lamp = a_product(stock=10)
    enter(admin, lamp, 5)
    enter(admin, lamp, -2)
    for order_id, quantity in ((1, 3), (2, 4), (3, 99)):
        orders_service.put(
            f"/internal/reservations/{order_id}",
            json={"items": [{"product_id": lamp.id, "quantity": quantity}]},
        )
    orders_service.delete("/internal/reservations/1")

    assert rows(
        """
        SELECT stock,
               (SELECT sum(quantity) FROM reservation_items JOIN reservations USING (order_id)
                 WHERE state = 'held'),
               (SELECT sum(delta) FROM stock_entries)
          FROM products
        """
    ) == [(9, 4, 13)]
