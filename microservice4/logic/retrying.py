"""Another try for what the mail server has refused."""

from chassis import audit
from chassis.database import transaction
from chassis.errors import present
from microservice4 import database
from microservice4.errors import CodeForgotten, NotFailed
from microservice4.logic.addressing import fate_of, send_if_addressed


def retry(notification_id):
    """Begin anew with a failed notification, as if its event came now.

    It goes to the address that is known today, and is suppressed if it is too late to tell. Raises
    NotFailed, or CodeForgotten for an e-mail that bore a code.
    """
    with transaction() as tx:
        found = present(database.find_notification(tx, notification_id))
        # The contact first, as when an event comes in: two transactions never wait for each other.
        contact = database.lock_contact(tx, found.user_id)
        notification = database.lock_notification(tx, notification_id)
        if notification.status != "failed":
            raise NotFailed(f"This notification is {notification.status}, not failed")
        if notification.code_expires_at is not None:
            raise CodeForgotten
        fate = fate_of(tx, notification, contact)
        database.update_fate(tx, notification_id, fate)
        send_if_addressed(tx, notification_id, notification, fate)
        audit.record(tx, "notification.retried", f"notification/{notification_id}")
        return database.find_notification(tx, notification_id)
