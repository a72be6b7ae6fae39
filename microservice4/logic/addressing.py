"""What becomes of a notification: an e-mail on its way, one that is not to be sent, or a wait.

An address is unconfirmed until its user has shown to read it. Anybody may enter any address, so an
e-mail to an unconfirmed one holds nothing that its user has chosen, and there are a few a day only.
"""

from chassis import outbox, service
from microservice4 import database
from microservice4.logic.rendering import NEUTRAL_GREETING, greeting_of, render
from microservice4.models import ABOUT_AN_ADDRESS, EMAILED, PASSWORD_RESET, Fate

LANE = "mail"

USER_LEFT = "the user has been deleted"
OVERTAKEN = "overtaken by later news of the same order"
ADDRESS_REPLACED = "another address was entered since, so its code is of no use"
TOO_OLD = "it happened longer ago than notifications are kept"
GOES_NOWHERE = "no e-mail is sent to addresses that end in .invalid"
TOO_MANY = "an unconfirmed address gets no more e-mails than UNCONFIRMED_EMAILS_PER_DAY"


def fate_of(tx, news, contact):
    """Return the Fate of News, or of a Notification; what is overtaken by later news is not told.

    contact: its row locked.
    """
    if _is_overtaken(tx, news):
        return Fate("suppressed", OVERTAKEN)
    return fate_by_contact(tx, news, contact)


def fate_by_contact(tx, news, contact):
    """Return the Fate of news that are still news. As long as the contact is unknown, they wait."""
    if contact.deleted:
        return Fate("suppressed", USER_LEFT)
    if not contact.is_known:
        return Fate("queued")
    recipient, unconfirmed = _recipient_of(news, contact)
    greeting = NEUTRAL_GREETING if unconfirmed else greeting_of(contact)
    letter = render(news, greeting, service.current().settings.public_url)
    obstacle = _obstacle(tx, news, recipient, unconfirmed)
    return Fate(
        status="suppressed" if obstacle else "queued",
        last_error=obstacle,
        recipient=recipient,
        unconfirmed=unconfirmed,
        code=None if obstacle else news.code,
        subject=letter.subject,
        body=letter.body,
    )


def send_if_addressed(tx, notification_id, news, fate):
    """Hand an e-mail to the worker, if there is one to send."""
    if fate.status == "queued" and fate.recipient is not None:
        hand_over(tx, LANE, notification_id, news)


def hand_over(tx, lane, notification_id, news):
    """Hand an e-mail to a lane of the worker.

    It goes out after whatever else waits to be said of the same order, or of the same user. One
    about an address waits for nothing: else an address whose mail server takes nothing, entered
    by a thief, would hold up the owner's password reset.
    """
    if news.event_type in ABOUT_AN_ADDRESS:
        about = f"notification/{notification_id}"
    elif news.order_id is None:
        about = f"user/{news.user_id}"
    else:
        about = f"order/{news.order_id}"
    outbox.enqueue(tx, lane, subject=about, message={"notification_id": notification_id})


def goes_nowhere(email):
    """True for an address in the top-level domain that is never given out (RFC 6761)."""
    domain = email.rpartition("@")[2].lower().rstrip(".")
    return f".{domain}".endswith(".invalid")


def _recipient_of(news, contact):
    """Return (address, whether it is unconfirmed)."""
    if news.event_type in ABOUT_AN_ADDRESS:
        return news.recipient, news.unconfirmed
    return contact.email, not contact.email_confirmed


def _obstacle(tx, news, recipient, unconfirmed):
    """Return why no e-mail is sent to that address, or None."""
    if goes_nowhere(recipient):
        return GOES_NOWHERE
    if unconfirmed and _has_had_enough(tx, news, recipient):
        return TOO_MANY
    return None


def _has_had_enough(tx, news, recipient):
    """Whether an unconfirmed address has had its e-mails of a day.

    Password resets are counted by themselves, so that nobody can use up all e-mails of a day and
    keep the address's owner from taking the account over.
    """
    is_reset = news.event_type == PASSWORD_RESET
    counted = [kind for kind in EMAILED if (kind == PASSWORD_RESET) == is_reset]
    most = service.current().settings.unconfirmed_emails_per_day
    others = database.count_to_unconfirmed(
        tx, recipient, event_types=counted, other_than=news.event_id, at_most=most
    )
    return others >= most


def _is_overtaken(tx, news):
    if news.order_version is None:
        return False
    return database.raise_order_version(tx, news.order_id, news.order_version) > news.order_version
