"""What an operator must know: notifications that wait.

- Some wait for the address of their user, which an event of Users tells. One that never comes was
  lost, or Users or this service was restored alone.
- Others wait because the mail server has put them off.
"""

from chassis import metrics
from chassis.database import transaction
from microservice4 import database


def without_contact():
    """Return as Waiting what waits for an address."""
    with transaction() as tx:
        return database.count_without_contact(tx)


def deferred():
    """Return as Waiting what the mail server has put off."""
    with transaction() as tx:
        return database.count_deferred(tx)


def watch():
    """Show the figures to Prometheus."""
    found = without_contact()
    metrics.without_contact_gauge().set(found.count)
    metrics.without_contact_oldest_gauge().set(found.oldest_seconds)
    found = deferred()
    metrics.deferred_gauge().set(found.count)
    metrics.deferred_oldest_gauge().set(found.oldest_seconds)
