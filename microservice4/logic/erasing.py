"""Erasing the notifications of a smoke test, so that no list of the shop shows them."""

from chassis.database import transaction
from microservice4 import database

RECIPIENTS = "smoke-test-%@quartet.invalid"
"""What scripts/lib/try_order.py registers, as a pattern of LIKE."""


def erase_test_notifications(user_id):
    """Delete the user's notifications to an address of smoke tests. Returns how many."""
    with transaction() as tx:
        return database.delete_notifications(tx, user_id, RECIPIENTS)
