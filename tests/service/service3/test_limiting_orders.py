"""How many orders one customer may place in a minute, whichever process takes them."""

from dataclasses import replace

import pytest

from chassis import rates
from chassis.tokens import Identity


@pytest.fixture
def limited(service, monkeypatch):
    """The service, on which a customer may place two orders a minute."""
    monkeypatch.setattr(service, "settings", replace(service.settings, orders_per_minute=2))


def test_one_order_too_many_is_refused_and_leaves_nothing(
    limited, customer, other_customer, admin, place, a_product, rows, stock
):
    lamp = a_product(stock=100)
    for _ in range(2):
        assert place(customer, (lamp, 1)).status_code == 201
    before = _everything(rows)

    refused = place(customer, (lamp, 1))

    assert refused.status_code == 429
    assert refused.json["code"] == "too_many_requests"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert _everything(rows) == before
    assert stock(lamp) == 98
    assert place(other_customer, (lamp, 1)).status_code == 201
    for _ in range(3):
        assert place(admin, (lamp, 1)).status_code == 201


def test_a_minute_after_the_first_order_the_next_are_taken(
    limited, customer, place, a_product, rows
):
    lamp = a_product(stock=100)
    assert [place(customer, (lamp, 1)).status_code for _ in range(3)] == [201, 201, 429]

    rows("UPDATE request_counts SET began_at = began_at - interval '1 minute'")

    assert [place(customer, (lamp, 1)).status_code for _ in range(3)] == [201, 201, 429]


def test_orders_that_are_refused_later_count_and_repeated_ones_do_not(
    limited, customer, place, a_product
):
    lamp = a_product(stock=1)
    key = {"Idempotency-Key": "once"}
    body = {"items": [{"product_id": lamp.id, "quantity": 1}]}
    for _ in range(5):
        assert customer.post("/orders", json=body, headers=key).status_code == 201
    assert place(customer, (lamp, 5)).status_code == 409
    assert place(customer, (lamp, 5)).status_code == 429
    assert customer.post("/orders", json=body, headers=key).status_code == 201


def test_without_a_limit_nothing_is_counted(customer, place, a_product, rows):
    lamp = a_product(stock=100)
    assert [place(customer, (lamp, 1)).status_code for _ in range(3)] == [201] * 3
    assert rows("SELECT count(*) FROM request_counts") == [(0,)]


def test_counts_of_past_minutes_are_cleaned_up(service, rows):
    with service.active():
        for user_id in (7, 8):
            with rates.retention.transaction() as tx:
                rates.count(tx, "orders", Identity(user_id=user_id, role="customer"), 2)
        rows("UPDATE request_counts SET began_at = now() - interval '2 minutes' WHERE user_id = 7")
        rates.retention.prune([rates.RETENTION])
    assert rows("SELECT user_id FROM request_counts") == [(8,)]


def _everything(rows):
    """All rows of the service: a refused order adds none and changes none."""
    tables = rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {table: rows(f"SELECT t::text FROM {table} AS t ORDER BY 1") for (table,) in tables}
