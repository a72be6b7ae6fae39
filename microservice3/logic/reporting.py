"""What was sold, day by day."""

from chassis.database import transaction
from microservice3 import database


def sales(since=None, until=None, reference_prefix=None):
    """Return the days on which orders were placed that still stand, the earliest first."""
    with transaction() as tx:
        return database.list_days_of_sales(tx, since=since, until=until, prefix=reference_prefix)
