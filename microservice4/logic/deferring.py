"""E-mails that the mail server has put off: when they are tried again, and for how long.

They wait in the table of notifications and not in the outbox, so that they take no place of e-mails
that were never tried. When they are due they go to a lane of their own.
"""

from datetime import UTC, datetime, timedelta

from chassis import outbox
from chassis.database import transaction
from microservice4 import database
from microservice4.logic.addressing import hand_over

LANE = "deferred"

# RFC 5321, 4.5.4.1: at least 30 minutes between tries, less while the reason may be short, and 4 to
# 5 days in all. One minute lets a code of 30 minutes still arrive behind a greylist.
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(minutes=30)
TRIED_FOR = timedelta(days=5)

MOST_IN_LANE = 100  # at 2.5 s a refusal its two threads take 125 s, below the alarm of 5 minutes

GIVEN_UP = f"given up after {TRIED_FOR.days} days"
EXPIRES = "its code expires before the mail server is tried again"
WAITS = "waits for an earlier e-mail that the mail server has put off"


def pause_after(waited):
    """Return the pause of an e-mail that was put off for so long: as long again, within limits."""
    return min(LONGEST_PAUSE, max(FIRST_PAUSE, waited))


def put_off(notification, reason):
    """Note that the mail server has put off an e-mail, and when that is tried again, if at all."""
    now = datetime.now(UTC)
    waited = now - (notification.deferred_since or now)
    retry_at = now + pause_after(waited)
    with transaction() as tx:
        if waited >= TRIED_FOR:
            database.record_refused(tx, notification, f"{GIVEN_UP}: {reason}")
            database.retry_all_to(tx, notification.user_id, notification.recipient)
        else:
            database.record_deferred(tx, notification, reason, retry_at)
            if notification.expires_before(retry_at):
                database.suppress(tx, notification.id, EXPIRES)


def waits_behind(tx, notification):
    """Put an e-mail behind an earlier one of its subject that was put off. False if there is none.

    The order of a subject is kept, and an address that takes nothing is tried by one e-mail only.
    """
    retry_at = database.find_retry_before(tx, notification, pause=FIRST_PAUSE)
    if retry_at is None:
        return False
    database.record_waiting(tx, notification.id, WAITS, retry_at)
    return True


def take_up():
    """Hand the worker the e-mails whose pause is over, as many as their lane has room for."""
    with transaction() as tx:
        room = MOST_IN_LANE - outbox.count_waiting(tx, LANE, MOST_IN_LANE)
        due = database.take_due(tx, longest=LONGEST_PAUSE + FIRST_PAUSE, limit=room)
        for notification in sorted(due, key=lambda notification: notification.id):
            hand_over(tx, LANE, notification.id, notification)
