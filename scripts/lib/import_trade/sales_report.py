"""Compares the sales report with the orders that it stands for.

The report can only be asked by prefix, and is a read model that lags a little: it has to become
the sum of the orders service's own orders within a bounded time, with the strangers counted in
that share the prefix.
"""

import os.path
import time
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

from import_trade import api
from import_trade.seen import SeenOrder, SoldOnDay
from import_trade.transport import Transport

ASK_AGAIN_SECONDS = 0.5
COUNTED = frozenset({"confirmed", "shipped", "delivered"})
NOTHING = SoldOnDay(0, 0, Decimal("0.00"))


def compare_report(
    http: Transport, seen: dict[str, SeenOrder | None], deadline: float
) -> list[str]:
    """List the days on which the sales report is not the sum of the orders it stands for."""
    ours = {order.id: order for order in seen.values() if order and order.status in COUNTED}
    if not ours:
        return []
    days = sorted({order.placed_at.date() for order in ours.values()})
    prefix = os.path.commonprefix([order.reference or "" for order in ours.values()])

    while True:
        last_try = time.monotonic() > deadline
        report = api.sales_by_day(http, days[0], days[-1] + timedelta(days=1), prefix)
        differences = [
            difference
            for day in days
            if (
                difference := compare_report_of_day(
                    http, day, report.get(day, NOTHING), ours, prefix, may_lag=not last_try
                )
            )
        ]
        if not differences or last_try:
            return differences
        http.wait(ASK_AGAIN_SECONDS)


def compare_report_of_day(
    http: Transport,
    day: date,
    reported: SoldOnDay,
    ours: dict[int, SeenOrder],
    prefix: str,
    *,
    may_lag: bool,
) -> str | None:
    """Return how the report differs from the orders of the day, or None.

    Strangers with the prefix are looked for only when the report holds more than the imported
    orders, or when there is no time left to wait for it to catch up.
    """
    expected = sold(order for order in ours.values() if order.placed_at.date() == day)
    if reported == expected:
        return None
    holds_more = (
        reported.orders > expected.orders
        or reported.units > expected.units
        or reported.revenue > expected.revenue
    )
    if holds_more or not may_lag:
        expected = plus(expected, sold(strangers(http, day, ours, prefix)))
    if reported == expected:
        return None
    return (
        f"sales report of {day}: {describe_sold(reported)}; "
        f"its orders make {describe_sold(expected)}"
    )


def strangers(
    http: Transport, day: date, ours: dict[int, SeenOrder], prefix: str
) -> Iterable[SeenOrder]:
    """Yield the other orders that the report counts on that day under the prefix."""
    for entry in api.list_orders_of_day(http, day, day + timedelta(days=1)):
        shares_prefix = not prefix or (entry["reference"] or "").startswith(prefix)
        if entry["id"] not in ours and entry["status"] in COUNTED and shares_prefix:
            order = api.get_order(http, entry["id"])
            if order:
                yield order


def sold(orders: Iterable[SeenOrder]) -> SoldOnDay:
    total = NOTHING
    for order in orders:
        total = plus(total, SoldOnDay(1, order.units, order.total))
    return total


def plus(one: SoldOnDay, other: SoldOnDay) -> SoldOnDay:
    return SoldOnDay(
        one.orders + other.orders, one.units + other.units, one.revenue + other.revenue
    )


def describe_sold(sold_on_day: SoldOnDay) -> str:
    return (
        f"{sold_on_day.orders:,} orders, {sold_on_day.units:,} units, "
        f"{sold_on_day.revenue:,} in all"
    )
