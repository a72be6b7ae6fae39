"""Erasing the order of a smoke test, so that no list of the shop shows it."""

from chassis import outbox
from chassis.database import transaction
from microservice3 import database
from microservice3.logic import saga

REFERENCE = "smoke-test"
"""Of the order that scripts/lib/try_order.py places."""


def erase_test_order(user_id):
    """Delete the user's cancelled order with the reference of smoke tests.

    Returns whether none is left. An order stays while it is not cancelled, or while a neighbour has
    not received an event of it.
    """
    with transaction() as tx:
        order = database.lock_test_order(tx, user_id, REFERENCE)
        if order is None:
            return True
        lanes = [saga.LANE, *saga.EVERYBODY]
        if order.state != "cancelled" or outbox.is_waiting(
            tx, lanes, subject=saga.subject_of(order)
        ):
            return False
        database.delete_order(tx, order.id)
        return True
