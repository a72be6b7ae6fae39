"""What was sold, day by day."""

from datetime import UTC, datetime, time, timedelta

from chassis.database import transaction
from microservice3 import database

FOLDED_AT_ONCE = 10_000
_ORDERS_AT_ONCE = 100_000  # that one statement adds up one by one: a fraction of its second
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_END = datetime(9999, 12, 31, tzinfo=UTC)
_DAY = timedelta(days=1)


def sales(since=None, until=None, reference_prefix=None):
    """Return the days on which orders were placed that still stand, the earliest first.

    With a prefix, sales are added up one by one, in several statements.
    """
    since, until = since or _BEGINNING, until or _END
    with transaction() as tx:
        days = _days(tx, since, until)
        if reference_prefix is None:
            return days
        return [
            day
            for first, last in _parts(days)
            for day in database.list_days_of_sales_like(
                tx,
                reference_prefix,
                since=max(since, _midnight(first)),
                until=min(until, _midnight(last) + _DAY),
            )
        ]


def fold():
    """Add the changes of sales to the totals of their days, so that a report has few to add."""
    folded = FOLDED_AT_ONCE
    while folded == FOLDED_AT_ONCE:
        with transaction() as tx:
            folded = database.fold_sales(tx, FOLDED_AT_ONCE)


def _days(tx, since, until):
    first, end = _first_midnight(min(since, _END)), _midnight(until.date())
    if first >= end:  # no whole day lies in between
        first = end = until
    return database.list_days_of_sales(tx, since=since, until=until, first=first, end=end)


def _parts(days):
    """Yield (first date, last date) of consecutive days with about _ORDERS_AT_ONCE orders."""
    first, orders = None, 0
    for number, day in enumerate(days, start=1):
        first = first or day.date
        orders += day.orders
        if orders >= _ORDERS_AT_ONCE or number == len(days):
            yield first, day.date
            first, orders = None, 0


def _first_midnight(moment):
    midnight = _midnight(moment.date())
    return midnight if midnight >= moment else midnight + _DAY


def _midnight(date):
    return datetime.combine(date, time(), UTC)
