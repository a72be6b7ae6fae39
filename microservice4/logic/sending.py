"""What the worker does with an e-mail that waits: give it to the mail server, note what came."""

from dataclasses import replace

from chassis import crash, wire
from chassis.database import transaction
from microservice4 import clients, database
from microservice4.errors import MailRefused, MailServerUnavailable
from microservice4.logic.rendering import with_code

EXPIRED = "its code expired before the mail server took it"

# The events whose e-mails were taken, and the database was not told yet: one a thread. A database
# can be unable to write for an hour, as on a full disk: nobody shall get an e-mail at each try.
_taken = set()


def send(message):
    """Send the e-mail that a message of the outbox stands for, unless nobody waits for it any more.

    A definite refusal is an end as well. Raises MailServerUnavailable to be called again. No other
    e-mail goes out until it is written down what became of the last.
    """
    _write_down_what_was_taken()
    notification = _if_queued(wire.loads(message.body)["notification_id"])
    if notification is None:
        return
    if notification.has_expired:
        with transaction() as tx:
            database.suppress_expired(tx, notification.id, EXPIRED)
        return
    body = with_code(notification.body, notification.code)
    try:
        clients.send_mail(replace(notification, body=body))
    except MailRefused as refusal:
        with transaction() as tx:
            database.record_refused(tx, notification.id, str(refusal))
    except MailServerUnavailable as silence:
        with transaction() as tx:
            database.record_silence(tx, notification.id, str(silence))
        raise
    else:
        crash.point("mailed")
        _taken.add(notification.event_id)
        _write_down_what_was_taken()


def _write_down_what_was_taken():
    for event_id in tuple(_taken):  # of other threads too: noting it twice changes nothing
        with transaction() as tx:
            database.record_sent(tx, event_id)
        _taken.discard(event_id)


def _if_queued(notification_id):
    with transaction() as tx:
        notification = database.find_notification(tx, notification_id)
    return notification if notification and notification.status == "queued" else None
