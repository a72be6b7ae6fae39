"""The comparison finds every way in which the services can differ from the file, and no other."""

import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from import_trade import reconciling, sales_report
from import_trade.planning import Plan, PlannedLine, PlannedOrder, PlannedProduct, PlannedReturn
from import_trade.seen import SeenLine, SeenOrder, SoldOnDay, StockEntry, seen_order
from import_trade.transport import Transport

NOON = datetime(2010, 12, 1, 12, tzinfo=UTC)
DAY = NOON.date()

ORDER = PlannedOrder(
    "536365", "17850", NOON, (PlannedLine("A", 6, Decimal("2.55")), PlannedLine("B", 1, Decimal(3)))
)
SEEN = SeenOrder(
    id=4,
    user_id=7,
    reference="536365",
    status="confirmed",
    placed_at=NOON,
    lines=(
        SeenLine(1, "A", 6, Decimal("2.55"), Decimal("15.30")),
        SeenLine(2, "B", 1, Decimal("3.00"), Decimal("3.00")),
    ),
    total=Decimal("18.30"),
)
PLAN = Plan(
    opening_reference="opening:f.csv",
    users=(),
    products=(
        PlannedProduct("A", "a", Decimal("2.55"), opening=6),
        PlannedProduct("B", "b", Decimal("3.00"), opening=0),
    ),
    orders=(ORDER,),
    returns=(PlannedReturn("C9:1", "C9", "B", 2),),
    rejections=(),
)


@pytest.mark.parametrize("status", ["confirmed", "shipped", "delivered"])
def test_an_order_as_planned_is_no_difference_however_far_it_has_come(status):
    assert reconciling.compare_order(ORDER, 7, replace(SEEN, status=status)) == []


@pytest.mark.parametrize(
    ("tampered", "told"),
    [
        (replace(SEEN, status="cancelled"), "status cancelled, expected confirmed"),
        (replace(SEEN, status="pending"), "status pending, expected confirmed"),
        (replace(SEEN, user_id=8), "user 8, expected 7"),
        (replace(SEEN, reference="536366"), "reference 536366, expected 536365"),
        (replace(SEEN, total=Decimal("18.29")), "total 18.29, expected 18.30"),
        (
            replace(SEEN, placed_at=NOON + timedelta(seconds=1)),
            "placed at 2010-12-01 12:00:01+00:00, expected 2010-12-01 12:00:00+00:00",
        ),
        (replace(SEEN, lines=SEEN.lines[:1]), "number of lines 1, expected 2"),
        (
            replace(SEEN, lines=(replace(SEEN.lines[0], quantity=7), SEEN.lines[1])),
            "line 1 7 x A at 2.55 = 15.30, expected 6 x A at 2.55 = 15.30",
        ),
        (
            replace(SEEN, lines=(SEEN.lines[0], replace(SEEN.lines[1], sku="b"))),
            "line 2 1 x b at 3.00 = 3.00, expected 1 x B at 3.00 = 3.00",
        ),
    ],
)
def test_a_tampered_order_is_named_with_what_is_wrong(tampered, told):
    assert reconciling.compare_order(ORDER, 7, tampered) == [f"invoice 536365 (order 4): {told}"]


def test_lines_in_another_order_are_a_difference():
    swapped = replace(SEEN, lines=SEEN.lines[::-1])

    assert len(reconciling.compare_order(ORDER, 7, swapped)) == 2


def test_an_order_that_is_gone_is_named():
    assert reconciling.compare_order(ORDER, 7, None) == [
        "invoice 536365: its order did not come about; import the file again"
    ]


def test_an_order_that_was_never_confirmed_is_named_though_it_has_no_amounts():
    lines = [{"product_id": 1, "sku": None, "quantity": 6, "unit_price": None, "line_total": None}]
    seen = seen_order(
        {
            "id": 4,
            "user_id": 7,
            "reference": "536365",
            "status": "cancelled",
            "placed_at": "2010-12-01T12:00:00Z",
            "items": lines,
            "total": None,
        }
    )

    assert reconciling.compare_order(ORDER, 7, seen) == [
        "invoice 536365 (order 4): cancelled without being confirmed"
    ]


def test_an_order_in_motion_or_hidden_is_waited_for(monkeypatch):
    answers = [None, replace(SEEN, status="pending"), SEEN]
    monkeypatch.setattr(reconciling.api, "get_order", lambda *_: answers.pop(0))
    monkeypatch.setattr(reconciling, "ASK_AGAIN_SECONDS", 0)

    http = Transport("http://quartet.invalid", "admin", "secret")

    assert reconciling.settled_order(http, 4, time.monotonic() + 60) == SEEN


def test_waiting_for_an_order_ends(monkeypatch):
    monkeypatch.setattr(reconciling.api, "get_order", lambda *_: None)

    http = Transport("http://quartet.invalid", "admin", "secret")

    assert reconciling.settled_order(http, 4, time.monotonic() - 1) is None


def test_stock_entries_of_other_references_are_other_trade():
    entries = {
        "A": [
            StockEntry(None, 100),
            StockEntry("opening:f.csv", 6),
            StockEntry("opening:g.csv", 5),
            StockEntry("C90:1", 5),
        ],
        "B": [StockEntry("C9:1", 2), StockEntry("C9", 1)],
    }

    assert reconciling.compare_stock(PLAN, entries) == []


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        (
            {"A": [], "B": [StockEntry("C9:1", 2)]},
            "product A: stock entry opening:f.csv of +6 is missing",
        ),
        (
            {"A": [StockEntry("opening:f.csv", 5)], "B": [StockEntry("C9:1", 2)]},
            "product A: stock entry opening:f.csv is +5, expected +6",
        ),
        (
            {"A": [StockEntry("opening:f.csv", 6)], "B": []},
            "product B: stock entry C9:1 of +2 is missing",
        ),
        (
            {
                "A": [StockEntry("opening:f.csv", 6), StockEntry("C9:1", 2)],
                "B": [StockEntry("C9:1", 2)],
            },
            "product A: stock entry C9:1 of +2 is none of the file's",
        ),
        (
            {
                "A": [StockEntry("opening:f.csv", 6)],
                "B": [StockEntry("C9:1", 2), StockEntry("opening:f.csv", 1)],
            },
            "product B: stock entry opening:f.csv of +1 is none of the file's",
        ),
        (
            {
                "A": [StockEntry("opening:f.csv", 6)],
                "B": [StockEntry("C9:1", 2), StockEntry("C9:2", 2)],
            },
            "product B: stock entry C9:2 of +2 is none of the file's",
        ),
    ],
)
def test_a_wrong_stock_entry_is_named(entries, told):
    assert reconciling.compare_stock(PLAN, entries) == [told]


def test_days_count_what_was_sold_and_not_what_was_cancelled():
    days = reconciling.days_of_orders([SEEN, replace(SEEN, status="cancelled"), None])

    assert days == reconciling.days_of_plan(PLAN)
    assert days[DAY].revenue == Decimal("18.30")


def test_a_day_that_differs_is_told_with_both_sides():
    (told,) = reconciling.compare_days(reconciling.days_of_plan(PLAN), {})

    assert told == (
        "2010-12-01: the services hold 0 invoices, 0 lines, 0 units, 0.00 in all; "
        "the file 1 invoices, 2 lines, 7 units, 18.30 in all"
    )


def test_amounts_come_from_the_wire_without_passing_through_a_float():
    seen = seen_order(
        {
            "id": 4,
            "user_id": 7,
            "reference": "536365",
            "status": "confirmed",
            "placed_at": "2010-12-01T12:00:00Z",
            "items": [
                {
                    "product_id": 1,
                    "sku": "A",
                    "quantity": 1,
                    "unit_price": Decimal("0.10"),
                    "line_total": Decimal("0.10"),
                }
            ],
            "total": Decimal("0.10"),
        }
    )

    assert seen.total == Decimal("0.10")
    assert seen.placed_at == NOON


OURS = {SEEN.id: SEEN}
OUR_DAY = SoldOnDay(1, 7, Decimal("18.30"))


def report_of(reported, strangers, monkeypatch, *, may_lag=False):
    def list_orders(_, first, end):
        assert (first, end) == (DAY, date(2010, 12, 2))
        for order in [SEEN, *strangers]:
            yield {"id": order.id, "reference": order.reference, "status": order.status}

    monkeypatch.setattr(sales_report.api, "list_orders_of_day", list_orders)
    monkeypatch.setattr(
        sales_report.api, "get_order", lambda _, one: next(o for o in strangers if o.id == one)
    )
    return sales_report.compare_report_of_day(None, DAY, reported, OURS, "5363", may_lag=may_lag)


def test_a_report_of_the_imported_orders_alone_agrees(monkeypatch):
    assert report_of(OUR_DAY, [], monkeypatch) is None


def test_a_stranger_that_shares_the_prefix_is_counted_in(monkeypatch):
    stranger = replace(SEEN, id=99, reference="53630", user_id=1)
    others = [
        replace(stranger, id=100, status="cancelled"),
        replace(stranger, id=101, reference="X-1"),
        replace(stranger, id=102, reference=None),
    ]

    assert report_of(SoldOnDay(2, 14, Decimal("36.60")), [stranger, *others], monkeypatch) is None


def test_a_report_that_counts_an_order_twice_is_caught(monkeypatch):
    told = report_of(SoldOnDay(2, 14, Decimal("36.60")), [], monkeypatch)

    assert told == (
        "sales report of 2010-12-01: 2 orders, 14 units, 36.60 in all; "
        "its orders make 1 orders, 7 units, 18.30 in all"
    )


def test_a_report_that_lost_an_order_is_caught_behind_a_stranger(monkeypatch):
    stranger = replace(SEEN, id=99, reference="53630", user_id=1)

    assert report_of(OUR_DAY, [stranger], monkeypatch) is None
    assert report_of(SoldOnDay(0, 0, Decimal(0)), [stranger], monkeypatch) is not None
