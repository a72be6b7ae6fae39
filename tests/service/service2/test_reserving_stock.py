import threading


def reserve(caller, order_id, *lines):
    items = [{"product_id": product_id, "quantity": quantity} for product_id, quantity in lines]
    return caller.put(f"/internal/reservations/{order_id}", json={"items": items})


def stock(admin, product):
    return admin.get(f"/products/{product.id}").json["stock"]


def test_what_is_reserved_can_no_longer_be_bought(orders_service, admin, a_product):
    lamp = a_product(stock=5, price=29.90, sku="LAMP")

    answer = reserve(orders_service, 7, (lamp.id, 2))

    assert answer.status_code == 200
    assert answer.json["state"] == "held"
    assert answer.json["items"][0]["sku"] == "LAMP"
    assert stock(admin, lamp) == 3


def test_more_than_is_left_is_refused_and_takes_nothing(orders_service, admin, a_product):
    lamp, shade = a_product(stock=2), a_product(stock=9)

    answer = reserve(orders_service, 7, (shade.id, 1), (lamp.id, 3))

    assert answer.status_code == 409
    assert answer.json["code"] == "out_of_stock"
    assert answer.json["lines"] == [
        {"line": 1, "product_id": lamp.id, "requested": 3, "available": 2}
    ]
    assert (stock(admin, lamp), stock(admin, shade)) == (2, 9)


def test_the_sum_of_all_lines_of_a_product_counts(orders_service, a_product):
    lamp = a_product(stock=3)

    answer = reserve(orders_service, 7, (lamp.id, 2), (lamp.id, 2))

    assert answer.status_code == 409
    assert [line["requested"] for line in answer.json["lines"]] == [2, 2]


def test_a_product_that_repeats_has_an_entry_for_each_line(orders_service, a_product):
    lamp, shade = a_product(stock=9), a_product(stock=9)

    answer = reserve(orders_service, 7, (lamp.id, 1), (shade.id, 2), (lamp.id, 3))

    lines = [(item["product_id"], item["quantity"]) for item in answer.json["items"]]
    assert lines == [(lamp.id, 1), (shade.id, 2), (lamp.id, 3)]


def test_the_same_reservation_twice_holds_once(orders_service, admin, a_product):
    lamp = a_product(stock=5)

    first, second = (reserve(orders_service, 7, (lamp.id, 2)) for _ in range(2))

    assert first.json == second.json
    assert stock(admin, lamp) == 3


def test_a_refusal_stays_a_refusal_though_stock_has_come_since(orders_service, admin, a_product):
    lamp = a_product(stock=1)
    reserve(orders_service, 7, (lamp.id, 2))
    admin.post(f"/products/{lamp.id}/stock", json={"delta": 10, "reason": "Delivery"})

    answer = reserve(orders_service, 7, (lamp.id, 2))

    assert answer.json["code"] == "out_of_stock"
    assert stock(admin, lamp) == 11


def test_an_unknown_product_is_named_by_its_line(orders_service, a_product):
    lamp = a_product(stock=5)

    answer = reserve(orders_service, 7, (lamp.id, 1), (4711, 1))

    assert answer.status_code == 422
    assert answer.json["code"] == "product_not_found"
    assert answer.json["lines"] == [{"line": 1, "product_id": 4711}]


def test_released_stock_can_be_bought_again_and_is_returned_once(orders_service, admin, a_product):
    lamp = a_product(stock=5)
    reserve(orders_service, 7, (lamp.id, 2))

    for _ in range(2):
        answer = orders_service.delete("/internal/reservations/7")
        assert answer.json["state"] == "released"

    assert stock(admin, lamp) == 5


def test_released_before_it_was_reserved_it_can_no_longer_be_reserved(
    orders_service, admin, a_product
):
    lamp = a_product(stock=5)
    assert orders_service.delete("/internal/reservations/7").status_code == 200

    answer = reserve(orders_service, 7, (lamp.id, 2))

    assert (answer.status_code, answer.json["code"]) == (409, "too_late")
    assert stock(admin, lamp) == 5


def test_a_thousand_lines_go_through_and_one_more_does_not(orders_service, a_product):
    lamp = a_product(stock=5000)

    assert reserve(orders_service, 7, *[(lamp.id, 1)] * 1000).status_code == 200
    assert reserve(orders_service, 8, *[(lamp.id, 1)] * 1001).status_code == 422


def test_only_the_orders_service_may_reserve(anonymous, admin, customer, users_service, a_product):
    lamp = a_product()

    assert reserve(users_service, 7, (lamp.id, 1)).status_code == 403
    for stranger in (anonymous, admin, customer):
        answer = reserve(stranger, 7, (lamp.id, 1))
        assert (answer.status_code, answer.json["code"]) == (404, "no_route")


def test_orders_for_the_same_products_in_any_order_never_wait_for_each_other_in_a_circle(
    as_service, admin, a_product
):
    products = [a_product(stock=1000) for _ in range(12)]
    statuses = []

    def keep_reserving(first_order, lines):
        caller = as_service("microservice3")
        for order_id in range(first_order, first_order + 25):
            statuses.append(reserve(caller, order_id, *lines).status_code)

    forwards = [(product.id, 1) for product in products]
    buyers = [
        threading.Thread(target=keep_reserving, args=(first_order, lines))
        for first_order, lines in ((1, forwards), (101, forwards[::-1]))
    ]
    for buyer in buyers:
        buyer.start()
    for buyer in buyers:
        buyer.join()

    assert statuses == [200] * 50
    assert {stock(admin, product) for product in products} == {950}
