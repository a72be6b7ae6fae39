"""What the command tells on the terminal: the plan before it starts, the verdict at the end."""

from collections import Counter
from datetime import date
from pathlib import Path

from printable import printable

from import_trade.planning import Plan
from import_trade.progress import LABEL_WIDTH
from import_trade.reading import TradeFile
from import_trade.reconciling import Day, Reconciliation

MOST_REJECTIONS_SHOWN = 20
MOST_REASONS_SHOWN = 5


def show_plan(trade: TradeFile, plan: Plan, report: Path | None) -> None:
    print(printable(trade.name) + f": {counted(len(trade.lines) + len(trade.rejections), 'line')}")
    sales = sum(len(order.lines) for order in plan.orders)
    remark = left_out(plan.invoices_without_order, "invoice")
    show("orders", f"{len(plan.orders):,}", f"of {counted(sales, 'line')}{remark}")
    units = sum(one.units for one in plan.returns)
    cancellations = len({one.invoice for one in plan.returns})
    show(
        "returns",
        f"{len(plan.returns):,}",
        f"of {counted(units, 'unit')}, on {counted(cancellations, 'cancellation')}",
    )
    show("users", f"{len(plan.users):,}", "")
    show("products", f"{len(plan.products):,}", f"stocked under {plan.opening_reference}")
    show("rejected lines", f"{len(plan.rejections):,}", f"listed in {report}" if report else "")
    for reason, number in Counter(one.reason for one in plan.rejections).most_common(
        MOST_REASONS_SHOWN
    ):
        print(printable(f"{'':<{LABEL_WIDTH}} {number:>6,} {reason}"))


def show(label: str, figure: str, remark: str) -> None:
    print(printable(f"  {label:<{LABEL_WIDTH - 2}} {figure:>6} {remark}".rstrip()))


def left_out(number: int, noun: str) -> str:
    return f"; {counted(number, noun)} of rejected lines alone left out" if number else ""


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def show_rejections(plan: Plan, report: Path | None) -> None:
    if report or not plan.rejections:
        return
    print("Would be rejected:")
    for one in plan.rejections[:MOST_REJECTIONS_SHOWN]:
        print(printable(f"  line {one.place}: {one.reason}"))
    left = len(plan.rejections) - MOST_REJECTIONS_SHOWN
    if left > 0:
        print(f"  and {left:,} more; --report FILE writes them all")


def show_reconciliation(plan: Plan, result: Reconciliation) -> None:
    days = sorted(result.planned_days.keys() | result.seen_days.keys())
    print(f"\n{'day':<12}{'invoices':>10}{'lines':>10}{'units':>12}{'revenue':>16}")
    for day in days:
        show_day(day, result.planned_days.get(day, Day()), result.seen_days.get(day, Day()))
    if result.differences:
        print(f"\nThe services differ from the file in {len(result.differences):,} points:")
        for difference in result.differences:
            print(printable(f"  {difference}"))
        return
    entries = sum(1 for product in plan.products if product.opening) + len(plan.returns)
    print(
        f"\nReconciled to the penny: {len(plan.orders):,} orders and {entries:,} stock entries "
        "are as the file says, and so is the sales report."
    )


def show_day(day: date, planned: Day, seen: Day) -> None:
    print(f"{day!s:<12}{figures(seen)}" + ("" if seen == planned else "   in the services"))
    if seen != planned:
        print(f"{'':<12}{figures(planned)}   in the file")


def figures(day: Day) -> str:
    return f"{day.invoices:>10,}{day.lines:>10,}{day.units:>12,}{day.revenue:>16,}"
