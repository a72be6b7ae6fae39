"""What the other services tell: who the users are, and what happened to them and their orders."""

from datetime import UTC, datetime, timedelta

from chassis import context, inbox, service, wire
from microservice4 import database
from microservice4.logic.addressing import (
    TOO_OLD,
    USER_LEFT,
    fate_by_contact,
    fate_of,
    send_if_addressed,
)
from microservice4.models import EMAILED, Fate, News

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
    contact = database.update_contact(
        tx,
        contact.user_id,
        username=user["username"],
        email=user["email"],
        email_confirmed=user["email_confirmed"],
        full_name=user["full_name"],
        version=user["version"],
    )
    for notification in database.list_waiting_for_contact(tx, contact.user_id):
        fate = fate_by_contact(tx, notification, contact)
        database.update_fate(tx, notification.id, fate)
        send_if_addressed(tx, notification.id, notification, fate)
    return contact


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
