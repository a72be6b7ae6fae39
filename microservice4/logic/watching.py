"""What an operator must know: notifications that wait for the address of their user.

They wait for an event of Users. One that never comes was lost, or Users or this service was
restored alone.
"""

from chassis import metrics
from chassis.database import transaction
from microservice4 import database


def without_contact():
    """Return the WithoutContact."""
    with transaction() as tx:
        return database.count_without_contact(tx)


def watch():
    """Show the figures to Prometheus."""
    found = without_contact()
    metrics.without_contact_gauge().set(found.count)
    metrics.without_contact_oldest_gauge().set(found.oldest_seconds)
