"""What the other services tell: who the users are, and what happened to them and their orders."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from chassis import context, inbox, service, wire
from microservice4 import database
from microservice4.logic.addressing import (
    ADDRESS_REPLACED,
    TOO_OLD,
    USER_LEFT,
    fate_by_contact,
    fate_of,
    send_if_addressed,
)
from microservice4.models import ABOUT_AN_ADDRESS, CONFIRMATION, EMAILED, Fate, News

_OF_THE_CONTACT = {"username", "email", "email_confirmed", "full_name"}
_IN_COLUMNS = {"recipient", "recipient_confirmed", "code"}  # a code must not outlive its e-mail


def receive(events):
    """Take in events, each once: bring the contact up to date, and make the notification.

    By user, so that two batches lock contacts in the same order; each user's own order stays.
    """
    inbox.take_in(sorted(events, key=lambda event: event["data"]["user_id"]), _take_in)


def _take_in(tx, event):
    contact = database.lock_contact(tx, event["data"]["user_id"])
    if event["type"] == "user.deleted":
        _bury(tx, contact, event["data"]["deleted_at"] or event["time"])
    elif event["type"].startswith("user."):
        contact = _learn(tx, contact, event["data"])
    if event["type"] in EMAILED:
        _notify(tx, contact, event)


def _bury(tx, contact, deleted_at):
    database.bury_contact(tx, contact.user_id, deleted_at)
    database.suppress_queued(tx, contact.user_id, USER_LEFT)


def _learn(tx, contact, user):
    """Return the contact as it is known now, and address what has waited for it."""
    if contact.deleted or _is_old_news(user["version"], contact.version):
        return contact
    before = contact
    contact = database.update_contact(
        tx,
        contact.user_id,
        username=user["username"],
        email=user["email"],
        email_confirmed=user["email_confirmed"],
        full_name=user["full_name"],
        version=user["version"],
    )
    if before.is_known and not before.is_at(contact.email):
        _suppress_codes(tx, contact.user_id, ABOUT_AN_ADDRESS, other_than=contact.email)
    for notification in database.list_to_address(tx, contact):
        _address(tx, _without_code_for_another(tx, notification, contact), contact)
    return contact


def _suppress_codes(tx, user_id, event_types, *, other_than):
    """Suppress what takes a code to an address that was replaced: Users refuses such a code."""
    database.suppress_codes(
        tx, user_id, ADDRESS_REPLACED, event_types=event_types, other_than=other_than
    )


def _address(tx, notification, contact):
    """Send a queued notification to the contact. A message that is in the outbox does no harm."""
    fate = fate_by_contact(tx, notification, contact)
    database.update_fate(tx, notification.id, fate)
    send_if_addressed(tx, notification.id, notification, fate)


def _without_code_for_another(tx, notification, contact):
    """Return the notification, without the code if that is for another address than the contact's.

    A code shows who reads the address that it is sent to, so it must not go anywhere else. Users
    sends another one to the new address.
    """
    if notification.recipient is None or contact.is_at(notification.recipient):
        return notification
    database.forget_code(tx, notification.id)
    return replace(notification, code=None, code_expires_at=None)


def _is_old_news(version, known):
    """A user's version is optional: news without one are taken for the latest."""
    return version is not None and version < known


def _is_too_old(event):
    """True if the notification of the event, if there was one, may have been pruned already.

    Such an event can only come from an outbox that was restored, or from a dead letter.
    """
    days = service.current().settings.notifications_kept_days
    return days is not None and event["time"] < datetime.now(UTC) - timedelta(days=days)


def _told(data):
    left_out = _OF_THE_CONTACT | _IN_COLUMNS
    return {name: fact for name, fact in data.items() if name not in left_out}


def _notify(tx, contact, event):
    data = event["data"]
    if event["type"] == CONFIRMATION:
        _suppress_codes(tx, contact.user_id, [CONFIRMATION], other_than=data["recipient"])
    facts = {} if contact.deleted else _told(data)
    order_id = data.get("order_id")
    news = News(
        user_id=contact.user_id,
        order_id=order_id,
        order_version=None if order_id is None else data["version"],
        event_id=event["id"],
        event_type=event["type"],
        facts=wire.dumps(facts).decode(),
        request_id=context.request_id.get(),
        recipient=data.get("recipient"),
        unconfirmed=not data.get("recipient_confirmed", True),
        code=data.get("code"),
        code_expires_at=data.get("code_expires_at"),
    )
    fate = Fate("suppressed", TOO_OLD) if _is_too_old(event) else fate_of(tx, news, contact)
    notification_id = database.insert_notification(tx, news, fate)
    if notification_id is not None:  # else the inbox has forgotten the event, but we have not
        send_if_addressed(tx, notification_id, news, fate)
