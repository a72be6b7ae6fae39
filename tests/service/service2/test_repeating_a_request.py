"""A POST that is sent again with the same Idempotency-Key, whatever happened to the first."""

import json
import threading

import pytest

from chassis import idempotency, testing
from chassis.database import transaction
from microservice2 import database
from microservice2.logic import retention

LAMP = {"sku": "LAMP", "name": "Desk lamp", "category": "Light", "price": 29.9, "stock": 10}
KEY = {"Idempotency-Key": "k-1"}


@pytest.fixture
def enter(admin):
    """Returns a function: enter stock of a product under a key."""

    def enter(product, delta=5, caller=admin, key="k-1", **fields):
        return caller.post(
            f"/products/{product.id}/stock",
            json={"delta": delta, "reason": "Delivery", **fields},
            headers={"Idempotency-Key": key},
        )

    return enter


@pytest.fixture
def keys_stored(rows):
    return lambda: rows("SELECT count(*) FROM idempotency_keys")[0][0]


def test_the_same_key_and_body_get_the_same_answer_and_nothing_is_done_twice(admin, rows):
    first, again = (admin.post("/products", json=LAMP, headers=KEY) for _ in range(2))

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.data == first.data
    headers = {**dict(first.headers), "Idempotency-Replayed": "true"}
    assert dict(again.headers) == headers
    assert rows("SELECT count(*) FROM products") == [(1,)]


def test_the_answer_stays_as_it_was_whatever_changed_since(admin, enter, a_product):
    lamp = a_product(stock=10)
    assert enter(lamp).json["stock"] == 15
    assert enter(lamp, key="k-2").json["stock"] == 20
    admin.delete(f"/products/{lamp.id}")

    assert enter(lamp).json["stock"] == 15


def test_another_body_is_refused_and_the_stored_answer_stays(enter, a_product):
    lamp = a_product(stock=10)
    enter(lamp, delta=5)

    answer = enter(lamp, delta=6)

    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")
    assert "Idempotency-Replayed" not in answer.headers
    assert enter(lamp, delta=5).json["stock"] == 15


def test_the_same_body_means_the_same_bytes(admin, a_product):
    a_product(sku="LAMP")
    compact, spaced = (json.dumps(LAMP, separators=(",", colon)) for colon in (":", ": "))

    codes = [
        admin.post("/products", data=body, content_type="application/json", headers=KEY).json[
            "code"
        ]
        for body in (compact, spaced, compact)
    ]

    assert codes == ["sku_taken", "idempotency_key_reused", "sku_taken"]


def test_a_refusal_is_repeated_even_if_it_would_go_well_by_now(enter, a_product):
    lamp = a_product(stock=1)
    first = enter(lamp, delta=-2)
    enter(lamp, delta=10, key="k-2")

    again = enter(lamp, delta=-2)

    assert (first.status_code, first.json["code"]) == (409, "out_of_stock")
    assert again.status_code == 409
    assert again.data == first.data
    assert again.headers["Content-Type"] == "application/problem+json"
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_refusal_by_the_database_itself_is_stored_and_leaves_nothing(admin, a_product, rows):
    a_product(sku="LAMP")

    answers = [admin.post("/products", json=LAMP, headers=KEY) for _ in range(2)]

    assert [answer.json["code"] for answer in answers] == ["sku_taken", "sku_taken"]
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert rows("SELECT count(*) FROM products") == [(1,)]


def test_a_body_that_is_not_valid_takes_no_key(admin, keys_stored):
    assert admin.post("/products", json={}, headers=KEY).status_code == 422
    assert keys_stored() == 0

    assert admin.post("/products", json=LAMP, headers=KEY).status_code == 201


def test_a_key_in_quotes_equals_the_key_without(admin, keys_stored):
    answers = [
        admin.post("/products", json=LAMP, headers={"Idempotency-Key": key})
        for key in ("4f8a", '"4f8a"')
    ]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert keys_stored() == 1


def test_a_refusal_that_is_large_is_not_stored(admin, a_product, monkeypatch, keys_stored, enter):
    monkeypatch.setattr(idempotency, "LARGEST_ANSWER_BYTES", 100)
    lamp = a_product(stock=1)

    answers = [enter(lamp, delta=-2) for _ in range(2)]

    assert [answer.json["code"] for answer in answers] == ["out_of_stock", "out_of_stock"]
    assert "Idempotency-Replayed" not in answers[1].headers
    assert keys_stored() == 0


def test_a_success_that_is_too_large_to_store_is_not_done_twice(
    admin, a_product, monkeypatch, enter, rows
):
    monkeypatch.setattr(idempotency, "LARGEST_ANSWER_BYTES", 100)
    lamp = a_product(stock=10)

    first, again = enter(lamp), enter(lamp)

    assert (first.status_code, first.json["stock"]) == (200, 15)
    assert (again.status_code, again.json["code"]) == (409, "answer_not_kept")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert rows("SELECT stock FROM products") == [(15,)]


@pytest.mark.parametrize(
    ("path", "arguments", "status"),
    [
        ("/products/4711/stock", {"json": {"delta": 1, "reason": "x"}}, 404),
        ("/products", {"data": b"{", "content_type": "application/json"}, 400),
        ("/products", {"data": b"{}", "content_type": "text/plain"}, 415),
    ],
    ids=str,
)
def test_what_says_nothing_of_the_work_is_not_stored(admin, keys_stored, path, arguments, status):
    assert admin.post(path, headers=KEY, **arguments).status_code == status
    assert keys_stored() == 0


def test_each_caller_has_keys_of_their_own(as_user, enter, a_product):
    lamp = a_product(stock=10)

    stocks = [enter(lamp, caller=as_user(user_id, "admin")).json["stock"] for user_id in (1, 2, 1)]

    assert stocks == [15, 20, 15]


@pytest.mark.parametrize(
    "key", ["", " ", "a b", "ä", "a" * 256, "a\tb", "\x7f", '""', '" "', "a, b"], ids=ascii
)
def test_a_bad_key_is_refused(admin, keys_stored, key):
    answer = admin.post("/products", json=LAMP, headers={"Idempotency-Key": key})

    assert (answer.status_code, answer.json["code"]) == (400, "bad_idempotency_key")
    assert keys_stored() == 0


@pytest.mark.parametrize("key", ["!", "~", '"', "a" * 255, f'"{"a" * 255}"', '"4f8a"'])
def test_a_good_key_is_taken(admin, keys_stored, key):
    answer = admin.post("/products", json=LAMP, headers={"Idempotency-Key": key})

    assert answer.status_code == 201
    assert keys_stored() == 1


def test_without_a_key_nothing_is_stored(admin, keys_stored):
    assert admin.post("/products", json=LAMP).status_code == 201
    assert admin.post("/products", json=LAMP).status_code == 409
    assert keys_stored() == 0


def test_other_methods_do_not_look_at_the_header(admin, a_product, keys_stored):
    lamp = a_product()

    for _ in range(2):
        answer = admin.patch(
            f"/products/{lamp.id}", json={"name": "Lamp"}, headers={"Idempotency-Key": "a b"}
        )
        assert answer.status_code == 200
    assert keys_stored() == 0


def test_while_the_first_is_running_a_repeat_is_told_so(
    app, admin, monkeypatch, enter, a_product, rows
):
    lamp = a_product(stock=10)
    working, go_on = threading.Event(), threading.Event()
    change_stock = database.change_stock

    def slowly(*arguments):
        changed = change_stock(*arguments)
        working.set()
        go_on.wait(5)
        return changed

    monkeypatch.setattr(database, "change_stock", slowly)
    answers = []
    first = threading.Thread(target=lambda: answers.append(enter(lamp)))
    first.start()
    working.wait(5)
    repeat = enter(lamp)
    go_on.set()
    first.join()

    assert (repeat.status_code, repeat.json["code"]) == (409, "request_in_progress")
    assert answers[0].json["stock"] == 15
    monkeypatch.undo()
    after = enter(lamp)
    assert (after.status_code, after.json["stock"]) == (200, 15)
    assert after.headers["Idempotency-Replayed"] == "true"


def test_of_many_at_once_one_does_the_work(app, enter, a_product, rows):
    lamp = a_product(stock=10)
    barrier, answers = threading.Barrier(4), []

    def send():
        barrier.wait()
        answers.append(enter(lamp))

    for _ in range(5):
        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert {answer.status_code for answer in answers} <= {200, 409, 503}
    assert {answer.json["stock"] for answer in answers if answer.status_code == 200} == {15}
    assert rows("SELECT stock FROM products") == [(15,)]


def test_a_crash_after_the_work_and_before_the_answer_leaves_neither(
    monkeypatch, enter, a_product, rows, keys_stored
):
    lamp = a_product(stock=10)

    def crash(*_arguments, **_more):
        raise MemoryError

    monkeypatch.setattr(idempotency, "store", crash)
    assert enter(lamp).status_code == 500
    assert rows("SELECT stock FROM products") == [(10,)]
    assert keys_stored() == 0

    monkeypatch.undo()
    answer = enter(lamp)
    assert (answer.status_code, answer.json["stock"]) == (200, 15)
    assert "Idempotency-Replayed" not in answer.headers


def test_a_session_that_dies_in_the_middle_lets_the_key_go(
    monkeypatch, enter, a_product, rows, databases
):
    lamp = a_product(stock=10)
    change_stock = database.change_stock

    def die(tx, *arguments):
        change_stock(tx, *arguments)
        pid = tx.value("SELECT pg_backend_pid()")
        testing.query(databases("microservice2"), "SELECT pg_terminate_backend(%(pid)s)", pid=pid)
        return tx.value("SELECT 1")

    monkeypatch.setattr(database, "change_stock", die)
    answer = enter(lamp)
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")

    monkeypatch.undo()
    assert enter(lamp).json["stock"] == 15


def test_a_mistake_of_ours_is_not_stored(monkeypatch, enter, a_product, keys_stored, rows):
    lamp = a_product(stock=10)

    def mistake(*_arguments, **_more):
        raise KeyError("oops")

    monkeypatch.setattr(database, "insert_stock_entry", mistake)

    assert enter(lamp).status_code == 500
    assert keys_stored() == 0
    assert rows("SELECT stock FROM products") == [(10,)]


def test_keys_are_forgotten_after_a_day(enter, a_product, rows, keys_stored, app, _services):
    lamp = a_product(stock=10)
    enter(lamp, key="old")
    rows("UPDATE idempotency_keys SET created_at = now() - interval '25 hours'")
    rows(
        """
        INSERT INTO idempotency_keys (scope, fingerprint, resource_id, created_at)
        SELECT sha256(n::text::bytea), '', n, now() - interval '2 days'
          FROM generate_series(1, 2500) AS n
        """
    )
    enter(lamp, key="new")

    with _services(app.name).active():
        retention.clean_up()

    assert keys_stored() == 1
    assert enter(lamp, key="new").headers["Idempotency-Replayed"] == "true"


def test_work_under_a_key_cannot_call_a_neighbour(fresh_service):
    """Nobody else would hear of it: the call would be inside of the transaction."""
    from chassis.database import joint_transaction
    from chassis.http import ServiceClient

    with (
        fresh_service("microservice2").active(),
        pytest.raises(RuntimeError, match="inside a transaction"),
        joint_transaction(),
        transaction(),
    ):
        ServiceClient("microservice1").get("/users/1")
