"""What becomes of a notification: an e-mail on its way, one that is not to be sent, or a wait."""

from chassis import outbox
from microservice4 import database
from microservice4.logic.rendering import render

LANE = "mail"

USER_LEFT = "the user has been deleted"
OVERTAKEN = "overtaken by later news of the same order"
GOES_NOWHERE = "no e-mail is sent to addresses that end in .invalid"


def address_unless_overtaken(tx, notification, contact):
    """Address the notification if nothing later is known of its order: the past is not told."""
    if _is_overtaken(tx, notification):
        database.suppress_notification(tx, notification.id, OVERTAKEN)
    else:
        address(tx, notification, contact)


def address(tx, notification, contact):
    """Render the e-mail and hand it to the worker, or record why it is not to be sent.

    As long as nothing is known of the contact, it waits. contact: its row locked.
    """
    if contact.deleted:
        database.suppress_notification(tx, notification.id, USER_LEFT)
    elif contact.is_known:
        nowhere = goes_nowhere(contact.email)
        _write(tx, notification, contact, GOES_NOWHERE if nowhere else None)
        if not nowhere:
            _enqueue(tx, notification)


def goes_nowhere(email):
    """True for an address in the top-level domain that is never given out (RFC 6761)."""
    domain = email.rpartition("@")[2].lower().rstrip(".")
    return f".{domain}".endswith(".invalid")


def _is_overtaken(tx, notification):
    version = notification.order_version
    if version is None:
        return False
    return database.raise_order_version(tx, notification.order_id, version) > version


def _write(tx, notification, contact, kept_because):
    letter = render(notification, contact)
    database.update_letter(
        tx,
        notification.id,
        recipient=contact.email,
        subject=letter.subject,
        body=letter.body,
        kept_because=kept_because,
    )


def _enqueue(tx, notification):
    """It goes out after whatever else waits to be said of the same order, or of the same user."""
    about = f"user/{notification.user_id}"
    if notification.order_id is not None:
        about = f"order/{notification.order_id}"
    outbox.enqueue(tx, LANE, subject=about, message={"notification_id": notification.id})
