"""What the worker does with an e-mail that waits: give it to the mail server, note what came."""

import logging
from dataclasses import replace
from datetime import UTC, datetime

from chassis import crash, wire
from chassis.database import transaction
from microservice4 import clients, database
from microservice4.errors import MailDeferred, MailRefused, MailServerAway
from microservice4.logic import deferring
from microservice4.logic.rendering import with_code
from microservice4.models import ABOUT_AN_ADDRESS

log = logging.getLogger(__name__)

EXPIRED = "its code expired before the mail server took it"

# The notifications whose e-mails were taken, and the database was not told yet: one a thread. A
# database can be unable to write for an hour, as on a full disk: nobody shall get an e-mail at each
# try.
_taken = {}


def send(message):
    """Send the e-mail that a message of the outbox stands for, unless nobody waits for it any more.

    A refusal is an end of the message as well, and so is a deferral, because the e-mail comes back
    by a message of its own. Raises MailServerAway to be called again. No other e-mail goes out
    until it is written down what became of the last.
    """
    _write_down_what_was_taken()
    notification = _to_be_sent(wire.loads(message.body)["notification_id"])
    if notification is None:
        return
    body = with_code(notification.body, notification.code)
    try:
        clients.send_mail(replace(notification, body=body))
    except MailRefused as refusal:
        _log("refused", notification, refusal)
        with transaction() as tx:
            database.record_refused(tx, notification, str(refusal))
            database.retry_all_to(tx, notification.user_id, notification.recipient)
    except MailDeferred as delay:
        _log("deferred", notification, delay)
        deferring.put_off(notification, str(delay))
    except MailServerAway as silence:
        with transaction() as tx:
            database.record_silence(tx, notification.id, str(silence))
        raise
    else:
        crash.point("mailed")
        _taken[notification.event_id] = notification
        _write_down_what_was_taken()


def _write_down_what_was_taken():
    for event_id, notification in list(_taken.items()):  # of other threads too: twice does no harm
        with transaction() as tx:
            database.record_sent(tx, event_id, notification.recipient)
            database.retry_all_to(tx, notification.user_id, notification.recipient)
        _taken.pop(event_id, None)


def _to_be_sent(notification_id):
    """Return the notification if its e-mail is to be sent now, else None."""
    with transaction() as tx:
        notification = database.find_notification(tx, notification_id)
        if notification is None or not notification.is_ready:
            return None
        if notification.expires_before(datetime.now(UTC)):
            database.suppress(tx, notification_id, EXPIRED)
            return None
        is_free = notification.event_type in ABOUT_AN_ADDRESS
        if not is_free and deferring.waits_behind(tx, notification):
            return None
        return notification


def _log(outcome, notification, reason):
    about = {"notification_id": notification.id, "attempts": notification.attempts + 1}
    log.info(outcome, extra={**about, "reason": str(reason)})
