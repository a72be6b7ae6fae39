"""The sales report: exact at every moment, and no slower with a million orders than with a few."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest

from chassis import migrate, testing
from chassis.database import joint_transaction
from microservice3.logic import reporting

MIGRATIONS = Path(migrate.__file__).parent.parent / "microservice3/migrations"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

# What the report must say, added up from single sales.
BY_HAND = """
    SELECT (placed_at AT TIME ZONE 'UTC')::date, count(*), sum(units), sum(revenue)
      FROM sales
     WHERE (%(since)s::timestamptz IS NULL OR placed_at >= %(since)s)
       AND (%(until)s::timestamptz IS NULL OR placed_at < %(until)s)
       AND (%(prefix)s::text IS NULL OR starts_with(reference, %(prefix)s))
     GROUP BY 1
     ORDER BY 1
"""

SELL = """
    INSERT INTO sales (order_id, placed_at, reference, units, revenue)
    SELECT number, %(first)s + number * %(apart)s, 'PO-' || number, number %% 7 + 1, number / 3.0
      FROM generate_series(1, %(orders)s) AS number
"""


@pytest.fixture
def sell(rows):
    """Returns a function: so many sales, evenly apart from the first moment on."""
    return lambda orders, apart: rows(SELL, orders=orders, apart=apart, first=NOON)


@pytest.fixture
def report(service):
    """Returns a function: the report as tuples."""

    def report(**period):
        with service.active():
            days = reporting.sales(**period)
        return [(day.date, day.orders, day.units, day.revenue) for day in days]

    return report


def test_the_report_is_exact_before_and_after_changes_are_folded(
    rows, sell, report, service, monkeypatch
):
    luck = random.Random(7)
    sell(3000, timedelta(minutes=11))
    monkeypatch.setattr(reporting, "FOLDED_AT_ONCE", 700)
    for folds in (False, True, True):
        if folds:
            with service.active():
                reporting.fold()
            assert rows("SELECT count(*) FROM sales_changes") == [(0,)]
        gone = luck.sample(range(1, 3001), 200)
        rows("DELETE FROM sales WHERE order_id = ANY(%(gone)s)", gone=gone)
        rows("DELETE FROM sales WHERE placed_at::date = '2026-01-09'")
        for since, until in [(None, None), *(_periods(luck, 10))]:
            for prefix in (None, "PO-1", "PO-9", "po"):
                expected = rows(BY_HAND, since=since, until=until, prefix=prefix)
                found = report(since=since, until=until, reference_prefix=prefix)
                assert found == expected, (since, until, prefix)


def test_a_report_reads_single_sales_only_for_parts_of_days(rows, sell, service):
    sell(3000, timedelta(minutes=10))  # three weeks
    with service.active():
        reporting.fold()
        assert _sales_read() == 0
        read = _sales_read(since=NOON + timedelta(days=2), until=NOON + timedelta(days=9))
    assert 144 <= read < 200  # of 1,008


def test_a_report_by_prefix_takes_a_statement_for_so_many_orders(sell, report, monkeypatch):
    sell(3000, timedelta(minutes=11))
    parts = []
    listed = reporting.database.list_days_of_sales_like
    monkeypatch.setattr(reporting, "_ORDERS_AT_ONCE", 500)
    monkeypatch.setattr(
        reporting.database,
        "list_days_of_sales_like",
        lambda *args, **period: parts.append(listed(*args, **period)) or parts[-1],
    )

    assert sum(orders for _, orders, _, _ in report(reference_prefix="PO")) == 3000
    assert len(parts) == 6
    assert max(sum(day.orders for day in part) for part in parts) < 500 + 131  # and a day


def test_sales_of_before_the_totals_are_added_whatever_happens_meanwhile(postgres):
    url = postgres("before_totals")
    testing.execute(postgres("postgres"), "CREATE DATABASE before_totals")
    files = sorted(MIGRATIONS.glob("*.sql"))
    create, fill = (file for file in files if "days_of_sales" in file.name)
    testing.execute(url, *(file.read_text() for file in files if file < create))
    testing.query(url, SELL, orders=500, apart=timedelta(hours=1), first=NOON)

    testing.execute(url, create.read_text())
    # the release that runs goes on: some are placed, some are cancelled, of before and of after
    testing.query(
        url, "INSERT INTO sales VALUES (501, %(at)s, 'A', 2, 3), (502, %(at)s, 'B', 1, 9)", at=NOON
    )
    testing.query(url, "DELETE FROM sales WHERE order_id IN (1, 40, 500, 502)")
    for _ in range(2):  # the second time there is nothing to add
        testing.execute(url, fill.read_text())
        totals = """
            SELECT date, sum(orders), sum(units), sum(revenue)
              FROM (TABLE days_of_sales UNION ALL
                    SELECT date, orders, units, revenue FROM sales_changes) AS noted
             GROUP BY date HAVING sum(orders) > 0 ORDER BY date
        """
        assert testing.query(url, totals) == testing.query(
            url, BY_HAND, since=None, until=None, prefix=None
        )


def test_orders_that_are_confirmed_together_do_not_wait_for_each_other(rows, databases, app):
    """A total that each order updates would be a lock for which the others queue."""
    sale = "INSERT INTO sales VALUES (%s, '2026-01-01', NULL, 1, 1)"
    with (
        psycopg2.connect(databases(app.name)) as one,
        one.cursor() as first,
        psycopg2.connect(databases(app.name)) as other,
        other.cursor() as second,
    ):
        second.execute("SET lock_timeout = '100ms'")
        first.execute(sale, (1,))
        second.execute(sale, (2,))


def _periods(luck, number):
    for _ in range(number):
        one, other = (NOON + timedelta(minutes=luck.randrange(-1000, 35_000)) for _ in range(2))
        if luck.random() < 0.3:
            one = one.replace(hour=0, minute=0)
        if luck.random() < 0.3:
            other = other.replace(hour=0, minute=0)
        yield luck.choice([(one, other), (one, None), (None, other)])


def _sales_read(**period):
    """How many rows of `sales` a report reads: PostgreSQL counts them."""
    count = """
        SELECT seq_tup_read + coalesce(idx_tup_fetch, 0)
          FROM pg_stat_xact_user_tables
         WHERE relname = 'sales'
    """
    with joint_transaction() as tx:
        before = tx.value(count)
        reporting.sales(**period)
        return tx.value(count) - before
