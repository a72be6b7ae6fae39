"""An order that is sent again with the same Idempotency-Key is placed once."""

import threading

import pytest

from microservice3 import clients
from microservice3.logic import placing, saga

KEY = {"Idempotency-Key": "k-1"}


@pytest.fixture
def order(customer):
    """Returns a function that sends an order under a key."""

    def order(product, quantity=1, *, key="k-1", caller=customer, **fields):
        return caller.post(
            "/orders",
            json={"items": [{"product_id": product.id, "quantity": quantity}], **fields},
            headers={"Idempotency-Key": key},
        )

    return order


def test_an_order_that_is_repeated_is_placed_once(order, customer, a_product, stock, network):
    lamp = a_product(stock=5)

    first, again = order(lamp, 2), order(lamp, 2)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json == first.json
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert len(customer.get("/orders").json) == 1
    assert stock(lamp) == 3
    assert len(network.calls) == 1


def test_a_repeat_tells_what_became_of_the_order_since(order, customer, a_product):
    lamp = a_product()
    placed = order(lamp).json
    customer.patch(f"/orders/{placed['id']}", json={"status": "cancelled"})

    again = order(lamp)

    assert (again.status_code, again.json["id"]) == (201, placed["id"])
    assert again.json["status"] == "cancelled"


def test_an_order_that_was_promised_is_told_as_it_is_by_then(order, a_product, network, work, rows):
    lamp = a_product()
    network.down = {"microservice2"}

    promised, repeated = order(lamp), order(lamp)
    assert (promised.status_code, repeated.status_code) == (202, 202)
    assert repeated.json == promised.json
    assert repeated.headers["Idempotency-Replayed"] == "true"

    network.down = set()
    rows("UPDATE outbox SET due_at = now()")
    work()
    ended = order(lamp)
    assert (ended.status_code, ended.json["status"]) == (201, "confirmed")
    assert ended.json["id"] == promised.json["id"]


def test_a_refusal_that_was_learnt_from_a_neighbour_is_repeated(order, a_product, shop, network):
    lamp = a_product(stock=1)
    first = order(lamp, 2)
    shop.post(f"/products/{lamp.id}/stock", json={"delta": 9, "reason": "Delivery"})

    again = order(lamp, 2)

    assert (first.status_code, again.status_code) == (409, 409)
    assert again.json["code"] == "out_of_stock"
    assert again.json["lines"] == first.json["lines"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(network.calls) == 1


def test_a_refusal_before_acceptance_is_repeated(order, a_product, customer):
    lamp = a_product()
    taken_by = order(lamp, key="k-0", reference="PO-1").json["id"]

    first, again = order(lamp, reference="PO-1"), order(lamp, reference="PO-1")

    assert (first.status_code, first.json["code"]) == (409, "reference_taken")
    assert again.data == first.data
    assert again.json["order_id"] == taken_by
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_definite_refusal_of_what_was_sent_is_repeated(order, admin, a_product):
    lamp = a_product()

    answers = [order(lamp, caller=admin, user_id=4711) for _ in range(2)]

    assert [answer.json["code"] for answer in answers] == ["user_not_found"] * 2
    assert answers[1].headers["Idempotency-Replayed"] == "true"


def test_an_order_that_is_not_valid_takes_no_key(order, a_product):
    lamp = a_product()

    assert order(lamp, reference="").json["code"] == "invalid"
    assert order(lamp).status_code == 201


def test_what_a_neighbour_did_not_answer_is_asked_again(order, admin, a_product, network, keys):
    lamp = a_product()
    network.down = {"microservice1"}
    assert order(lamp, caller=admin, user_id=4711).status_code == 503

    network.down = set()
    assert order(lamp, caller=admin, user_id=4711).json["code"] == "user_not_found"


def test_another_body_is_refused(order, a_product):
    lamp = a_product()
    order(lamp, 1)

    answer = order(lamp, 2)

    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")


def test_the_keys_of_two_customers_are_two(order, other_customer, a_product):
    lamp = a_product()

    orders = [order(lamp).json["id"], order(lamp, caller=other_customer).json["id"]]

    assert orders[0] != orders[1]


def test_while_the_first_is_under_way_a_repeat_is_told_so(order, a_product, monkeypatch, network):
    lamp = a_product()
    asked, go_on = threading.Event(), threading.Event()
    reserve = clients.reserve

    def slowly(*arguments):
        asked.set()
        go_on.wait(5)
        return reserve(*arguments)

    monkeypatch.setattr(clients, "reserve", slowly)
    answers = []
    first = threading.Thread(target=lambda: answers.append(order(lamp)))
    first.start()
    asked.wait(5)
    repeat = order(lamp)
    go_on.set()
    first.join()

    assert (repeat.status_code, repeat.json["code"]) == (409, "request_in_progress")
    assert answers[0].status_code == 201
    assert order(lamp).json["id"] == answers[0].json["id"]


@pytest.mark.parametrize("reference", [{}, {"reference": "PO-1"}], ids=["without", "with"])
def test_of_many_at_once_one_is_placed(order, a_product, stock, rows, reference):
    lamp = a_product(stock=50)
    answers = []
    for turn in range(5):
        barrier = threading.Barrier(4)

        def send(turn=turn, barrier=barrier):
            barrier.wait()
            fields = {name: f"{value}-{turn}" for name, value in reference.items()}
            answers.append((turn, order(lamp, key=f"k-{turn}", **fields)))

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    for turn in range(5):
        ours = [answer for its, answer in answers if its == turn]
        assert {(a.status_code, a.json.get("code")) for a in ours} <= {
            (201, None),
            (409, "request_in_progress"),
            (409, "reference_in_progress"),
            (503, "unavailable"),  # out of connections, on a busy machine
        }
        assert len({a.json["id"] for a in ours if a.status_code == 201}) == 1
    assert rows("SELECT count(*) FROM orders") == [(5,)]
    assert stock(lamp) == 45


def test_a_repeat_that_overtakes_takes_no_reference_from_its_own_request(
    order, a_product, monkeypatch, rows
):
    """Both have found the key free; then the repeat is the first to be accepted."""
    lamp = a_product()
    check, repeats = placing._may_say_all_that, []

    def overtaken(*arguments):
        if not repeats:
            repeats.append(None)
            repeats.append(order(lamp, reference="PO-1"))
        return check(*arguments)

    monkeypatch.setattr(placing, "_may_say_all_that", overtaken)
    answer = order(lamp, reference="PO-1")

    assert repeats[1].status_code == 201
    assert (answer.status_code, answer.json["id"]) == (201, repeats[1].json["id"])
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert rows("SELECT count(*) FROM orders") == [(1,)]


def test_a_crash_after_acceptance_is_followed_by_the_order_and_not_by_another(
    order, a_product, stock, monkeypatch, work, rows
):
    lamp = a_product(stock=5)

    def crash(_order):
        raise MemoryError

    monkeypatch.setattr(saga, "advance", crash)
    assert order(lamp).status_code == 500
    assert order(lamp).json["code"] == "request_in_progress"

    monkeypatch.undo()
    rows("UPDATE outbox SET due_at = now()")
    work()
    answer = order(lamp)
    assert (answer.status_code, answer.json["status"]) == (201, "confirmed")
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert stock(lamp) == 4


def test_a_crash_before_acceptance_leaves_the_key_free(order, a_product, monkeypatch, rows):
    lamp = a_product()

    def crash(*_arguments):
        raise MemoryError

    monkeypatch.setattr(saga, "begin", crash)
    assert order(lamp).status_code == 500
    assert rows("SELECT count(*) FROM idempotency_keys") == [(0,)]

    monkeypatch.undo()
    assert order(lamp).status_code == 201
