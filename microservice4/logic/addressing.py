"""What becomes of a notification: an e-mail on its way, one that is not to be sent, or a wait."""

from chassis import outbox
from microservice4 import database
from microservice4.logic.rendering import render
from microservice4.models import Fate

LANE = "mail"

USER_LEFT = "the user has been deleted"
OVERTAKEN = "overtaken by later news of the same order"
GOES_NOWHERE = "no e-mail is sent to addresses that end in .invalid"


def fate_of(tx, news, contact):
    """Return the Fate of News, or of a Notification; what is overtaken by later news is not told.

    contact: its row locked.
    """
    if _is_overtaken(tx, news):
        return Fate("suppressed", OVERTAKEN)
    return fate_by_contact(news, contact)


def fate_by_contact(news, contact):
    """Return the Fate of news that are still news. As long as the contact is unknown, they wait."""
    if contact.deleted:
        return Fate("suppressed", USER_LEFT)
    if not contact.is_known:
        return Fate("queued")
    letter = render(news, contact)
    nowhere = goes_nowhere(contact.email)
    return Fate(
        status="suppressed" if nowhere else "queued",
        last_error=GOES_NOWHERE if nowhere else None,
        recipient=contact.email,
        subject=letter.subject,
        body=letter.body,
    )


def send_if_addressed(tx, notification_id, news, fate):
    """Hand an e-mail to the worker, if there is one to send.

    It goes out after whatever else waits to be said of the same order, or of the same user.
    """
    if fate.status != "queued" or fate.recipient is None:
        return
    about = f"user/{news.user_id}" if news.order_id is None else f"order/{news.order_id}"
    outbox.enqueue(tx, LANE, subject=about, message={"notification_id": notification_id})


def goes_nowhere(email):
    """True for an address in the top-level domain that is never given out (RFC 6761)."""
    domain = email.rpartition("@")[2].lower().rstrip(".")
    return f".{domain}".endswith(".invalid")


def _is_overtaken(tx, news):
    if news.order_version is None:
        return False
    return database.raise_order_version(tx, news.order_id, news.order_version) > news.order_version
