import threading

import pytest


@pytest.fixture
def an_order(customer, place, a_product):
    """Returns a function that places an order and returns its address."""
    return lambda quantity=1: f"/orders/{place(customer, (a_product(), quantity)).json['id']}"


def set_status(caller, order, status):
    return caller.patch(order, json={"status": status})


def test_an_order_goes_from_confirmed_to_shipped_to_delivered(admin, customer, an_order):
    order = an_order()

    assert set_status(admin, order, "shipped").json["status"] == "shipped"
    assert set_status(admin, order, "delivered").json["status"] == "delivered"

    changes = customer.get(f"{order}/history").json
    assert [(change["from"], change["to"]) for change in changes] == [
        (None, "pending"),
        ("pending", "confirmed"),
        ("confirmed", "shipped"),
        ("shipped", "delivered"),
    ]
    assert sorted(change["at"] for change in changes) == [change["at"] for change in changes]


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ([], "delivered"),
        ([], "pending"),
        ([], "cancelling"),
        (["shipped"], "confirmed"),
        (["shipped"], "cancelled"),
        (["shipped", "delivered"], "shipped"),
        (["shipped", "delivered"], "cancelled"),
        (["cancelled"], "shipped"),
        (["cancelled"], "confirmed"),
    ],
    ids=str,
)
def test_every_other_step_is_refused_and_changes_nothing(admin, an_order, steps, wanted):
    order = an_order()
    for step in steps:
        set_status(admin, order, step)
    before = admin.get(order).json

    answer = set_status(admin, order, wanted)

    assert (answer.status_code, answer.json["code"]) == (409, "invalid_transition")
    assert admin.get(order).json == before


@pytest.mark.parametrize("status", ["confirmed", "shipped", "delivered", "cancelled"])
def test_the_status_that_an_order_has_already_is_fine(admin, customer, an_order, status):
    order = an_order()
    for step in {"shipped": ["shipped"], "delivered": ["shipped", "delivered"]}.get(status, []):
        set_status(admin, order, step)
    if status == "cancelled":
        set_status(admin, order, "cancelled")
    version = admin.get(order).json["version"]

    answer = set_status(customer, order, status)

    assert (answer.status_code, answer.json["version"]) == (200, version)


def test_a_word_that_is_no_status_is_not_valid(admin, an_order):
    assert set_status(admin, an_order(), "lost").status_code == 422


def test_a_customer_cannot_ship(customer, an_order):
    answer = set_status(customer, an_order(), "shipped")

    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")


def test_somebody_elses_order_is_not_there(other_customer, an_order):
    order = an_order()

    assert other_customer.get(order).json["code"] == "not_found"
    assert other_customer.get(f"{order}/history").json["code"] == "not_found"
    assert set_status(other_customer, order, "cancelled").json["code"] == "not_found"


def test_cancelling_returns_the_stock_and_says_who_did_it(
    customer, place, a_product, stock, network
):
    lamp = a_product(stock=5)
    order = f"/orders/{place(customer, (lamp, 2)).json['id']}"
    assert stock(lamp) == 3

    answer = set_status(customer, order, "cancelled")

    assert (answer.status_code, answer.json["status"]) == (200, "cancelled")
    assert answer.json["reason"] == "Cancelled by the customer"
    assert answer.json["items"][0]["sku"] == lamp.sku
    assert stock(lamp) == 5
    assert [change["to"] for change in customer.get(f"{order}/history").json] == [
        "pending",
        "confirmed",
        "cancelling",
        "cancelled",
    ]


def test_a_cancelled_order_keeps_its_reference(customer, place, a_product):
    lamp = a_product()
    order = place(customer, (lamp, 1), reference="PO-1").json
    set_status(customer, f"/orders/{order['id']}", "cancelled")

    assert place(customer, (lamp, 1), reference="PO-1").json["code"] == "reference_taken"


def test_the_others_hear_of_every_change_in_order(admin, customer, an_order, rows):
    order = an_order()
    set_status(admin, order, "shipped")

    heard = rows(
        "SELECT lane, message->>'type', message->'data'->>'version' FROM outbox ORDER BY id"
    )

    assert [event for event in heard if event[0] == "microservice4"] == [
        ("microservice4", "order.confirmed", "2"),
        ("microservice4", "order.shipped", "3"),
    ]
    assert [event[0] for event in heard].count("microservice1") == 1
    assert [event[0] for event in heard].count("microservice2") == 1


def test_units_sold_follow_the_events_and_a_cancellation_takes_them_back(
    customer, place, a_product, shop, work
):
    lamp = a_product()
    order = place(customer, (lamp, 3)).json
    work()
    assert shop.get(f"/products/{lamp.id}").json["units_sold"] == 3

    set_status(customer, f"/orders/{order['id']}", "cancelled")
    work()

    assert shop.get(f"/products/{lamp.id}").json["units_sold"] == 0


def at_once(caller, order, status):
    """Two clients ask for the same status at the same time. Returns their answers."""
    answers, together = [], threading.Barrier(2)

    def ask():
        together.wait()
        answers.append(caller().patch(order, json={"status": status}))

    clients = [threading.Thread(target=ask) for _ in range(2)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return answers


@pytest.mark.parametrize("status", ["cancelled", "shipped"])
def test_two_who_want_the_same_at_once_both_get_it(as_user, an_order, status):
    for _ in range(5):
        answers = at_once(lambda: as_user(1, "admin"), an_order(), status)

        assert {answer.status_code for answer in answers} <= {200, 202}
        assert {answer.json["status"] for answer in answers} <= {status, "cancelling"}
