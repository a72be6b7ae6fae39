"""What an administrator does with an e-mail that was not sent: have it tried now, or give it up."""

from chassis import audit
from chassis.database import transaction
from chassis.errors import present
from microservice4 import database
from microservice4.errors import CodeForgotten, NotFailed, NotQueued
from microservice4.logic.addressing import fate_by_contact, fate_of, send_if_addressed

GIVEN_UP = "an administrator has given it up"


def retry(notification_id):
    """Begin anew with a notification that is queued or has failed, as if its event came now.

    It goes to the address that is known today. A failed one is suppressed if later news of its
    order came. Raises NotFailed, or CodeForgotten for an e-mail whose code is deleted.
    """
    with transaction() as tx:
        notification, contact = _lock(tx, notification_id)
        if notification.status not in ("queued", "failed"):
            raise NotFailed(f"This notification is {notification.status}, not queued or failed")
        if notification.code_expires_at is not None and notification.code is None:
            raise CodeForgotten
        decide = fate_of if notification.status == "failed" else fate_by_contact
        fate = decide(tx, notification, contact)
        database.update_fate(tx, notification_id, fate)
        send_if_addressed(tx, notification_id, notification, fate)
        audit.record(tx, "notification.retried", f"notification/{notification_id}")
        return database.find_notification(tx, notification_id)


def give_up(notification_id):
    """Suppress a queued notification; those that wait behind it are tried. Raises NotQueued.

    An e-mail that the mail server is just taking still goes out.
    """
    with transaction() as tx:
        notification, _ = _lock(tx, notification_id)
        if notification.status != "queued":
            raise NotQueued(f"This notification is {notification.status}, not queued")
        database.suppress(tx, notification_id, GIVEN_UP)
        database.retry_all_to(tx, notification.user_id, notification.recipient)
        audit.record(tx, "notification.given_up", f"notification/{notification_id}")
        return database.find_notification(tx, notification_id)


def _lock(tx, notification_id):
    """Return the notification and its contact, locked. Raises NotFound.

    The contact comes first, as when an event comes in, so that the two cannot deadlock.
    """
    found = present(database.find_notification(tx, notification_id))
    contact = database.lock_contact(tx, found.user_id)
    return database.lock_notification(tx, notification_id), contact
