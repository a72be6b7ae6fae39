"""Compares what the services answer with what the file says, by the imported references, so that
other trade in the system does not disturb it. Amounts are Decimal from the wire to the verdict.

Orders and stock entries are read back one by one and compared exactly; the sales report is then
compared with the orders.
"""

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import starmap

from import_trade import api
from import_trade.planning import Plan, PlannedLine, PlannedOrder
from import_trade.replaying import Crew, Replay
from import_trade.sales_report import COUNTED, compare_report
from import_trade.seen import SeenLine, SeenOrder, StockEntry
from import_trade.transport import Transport

WAIT_SECONDS = 60
ASK_AGAIN_SECONDS = 0.5
IN_MOTION = frozenset({"pending", "cancelling"})


@dataclass(frozen=True, slots=True)
class Day:
    """One day's trade, as one side tells it."""

    invoices: int = 0
    lines: int = 0
    units: int = 0
    revenue: Decimal = Decimal("0.00")

    def plus(self, lines: int, units: int, revenue: Decimal) -> "Day":
        return Day(
            self.invoices + 1, self.lines + lines, self.units + units, self.revenue + revenue
        )


@dataclass(frozen=True, slots=True)
class Reconciliation:
    planned_days: dict[date, Day]
    seen_days: dict[date, Day]
    differences: tuple[str, ...]


def reconcile(crew: Crew, plan: Plan, replay: Replay) -> Reconciliation:
    """Read back everything that was imported and list every difference."""
    deadline = time.monotonic() + WAIT_SECONDS
    seen = read_orders(crew, replay, deadline)
    entries = read_entries(crew, plan, replay)

    differences = list(replay.refusals)
    for order in plan.orders:
        if order.invoice in seen:
            user_id = replay.user_ids[order.username]
            differences += compare_order(order, user_id, seen[order.invoice])
    differences += compare_stock(plan, entries)

    planned_days, seen_days = days_of_plan(plan), days_of_orders(seen.values())
    differences += compare_days(planned_days, seen_days)
    differences += compare_report(crew.http, seen, deadline)
    return Reconciliation(planned_days, seen_days, tuple(differences))


def read_orders(crew: Crew, replay: Replay, deadline: float) -> dict[str, SeenOrder | None]:
    """Return the orders by invoice, None for one that is gone, once none is in motion any more."""
    found, _ = crew.do(
        "orders read back",
        replay.order_ids.values(),
        lambda order_id: settled_order(crew.http, order_id, deadline),
    )
    return dict(zip(replay.order_ids, found, strict=True))


def settled_order(http: Transport, order_id: int, deadline: float) -> SeenOrder | None:
    """Return the order once nothing moves it any more, or None if it never shows itself.

    One whose reference is taken may still be hidden: a request that was left without an answer
    can be at work on it.
    """
    while True:
        order = api.get_order(http, order_id)
        settled = order is not None and order.status not in IN_MOTION
        if settled or time.monotonic() > deadline:
            return order
        http.wait(ASK_AGAIN_SECONDS)


def read_entries(crew: Crew, plan: Plan, replay: Replay) -> dict[str, list[StockEntry]]:
    found, _ = crew.do(
        "stock entries read back",
        plan.products,
        lambda one: list(api.stock_entries(crew.http, replay.product_ids[one.sku])),
    )
    return {product.sku: entries for product, entries in zip(plan.products, found, strict=True)}


def compare_order(order: PlannedOrder, user_id: int, seen: SeenOrder | None) -> list[str]:
    """List what is different about one order, by the invoice's number."""
    if seen is None:
        return [f"invoice {order.invoice}: its order did not come about; import the file again"]
    if seen.status not in COUNTED and seen.total is None:
        return [f"invoice {order.invoice} (order {seen.id}): {seen.status} without being confirmed"]
    facts = [
        ("reference", seen.reference, order.invoice),
        ("user", seen.user_id, user_id),
        ("placed at", seen.placed_at, order.placed_at),
        ("number of lines", len(seen.lines), len(order.lines)),
        ("total", seen.total, order.total),
    ]
    if seen.status not in COUNTED:
        facts.insert(0, ("status", seen.status, "confirmed"))
    lines = zip(seen.lines, order.lines, strict=False)
    facts += [(f"line {number}", *pair) for number, pair in enumerate(starmap(as_sold, lines), 1)]
    return [
        f"invoice {order.invoice} (order {seen.id}): {what} {found}, expected {expected}"
        for what, found, expected in facts
        if found != expected
    ]


@dataclass(frozen=True, slots=True)
class SoldLine:
    sku: str
    quantity: int
    price: Decimal
    amount: Decimal

    def __str__(self) -> str:
        return f"{self.quantity:,} x {self.sku} at {self.price:,.2f} = {self.amount:,.2f}"


def as_sold(seen: SeenLine, planned: PlannedLine) -> tuple[SoldLine, SoldLine]:
    return (
        SoldLine(seen.sku, seen.quantity, seen.price, seen.line_total),
        SoldLine(planned.sku, planned.quantity, planned.price, planned.amount),
    )


def compare_stock(plan: Plan, entries: dict[str, list[StockEntry]]) -> list[str]:
    """List what is different about the entries whose reference is one that this file would give."""
    cancellations = {returned.invoice for returned in plan.returns}
    differences = []
    for sku, expected in expected_entries(plan).items():
        imported = [
            entry
            for entry in entries[sku]
            if entry.reference == plan.opening_reference
            or (entry.reference or "").rpartition(":")[0] in cancellations
        ]
        differences += compare_entries(sku, expected, imported)
    return differences


def expected_entries(plan: Plan) -> dict[str, dict[str, int]]:
    """Return for each sku the units by reference."""
    expected = {
        product.sku: {plan.opening_reference: product.opening} if product.opening else {}
        for product in plan.products
    }
    for returned in plan.returns:
        expected[returned.sku][returned.reference] = returned.units
    return expected


def compare_entries(sku: str, expected: dict[str, int], imported: list[StockEntry]) -> list[str]:
    differences, left = [], dict(expected)
    for entry in imported:
        units = left.pop(entry.reference, None)
        if units is None:
            differences.append(
                f"product {sku}: stock entry {entry.reference} of {entry.delta:+,} "
                "is none of the file's"
            )
        elif units != entry.delta:
            differences.append(
                f"product {sku}: stock entry {entry.reference} is {entry.delta:+,}, "
                f"expected {units:+,}"
            )
    differences += [
        f"product {sku}: stock entry {reference} of {units:+,} is missing"
        for reference, units in left.items()
    ]
    return differences


def days_of_plan(plan: Plan) -> dict[date, Day]:
    days = defaultdict(Day)
    for order in plan.orders:
        day = order.placed_at.date()
        days[day] = days[day].plus(len(order.lines), order.units, order.total)
    return dict(days)


def days_of_orders(orders: Iterable[SeenOrder | None]) -> dict[date, Day]:
    days = defaultdict(Day)
    for order in orders:
        if order and order.status in COUNTED:
            day = order.placed_at.date()
            days[day] = days[day].plus(len(order.lines), order.units, order.total)
    return dict(days)


def compare_days(planned: dict[date, Day], seen: dict[date, Day]) -> list[str]:
    return [
        f"{day}: the services hold {describe_day(seen.get(day, Day()))}; "
        f"the file {describe_day(planned.get(day, Day()))}"
        for day in sorted(planned.keys() | seen.keys())
        if planned.get(day, Day()) != seen.get(day, Day())
    ]


def describe_day(day: Day) -> str:
    return (
        f"{day.invoices:,} invoices, {day.lines:,} lines, {day.units:,} units, "
        f"{day.revenue:,} in all"
    )
