"""Database access: one function, one statement."""

from dataclasses import asdict

from chassis import retention
from chassis.mailboxes import spellings
from chassis.pagination import MOST_COUNTED, count_of
from chassis.stored_text import Texts
from chassis.text import in_nfc
from microservice4.models import ABOUT_AN_ADDRESS, Contact, Notification, Waiting

SENT, FAILED, SUPPRESSED = (
    retention.Rows("notifications", moment="created_at", condition=f"status = '{status}'")
    for status in ("sent", "failed", "suppressed")
)

# copies of what Users has, which tells what is not in its form
TEXTS = (Texts("contacts", {"email": in_nfc, "full_name": in_nfc}, key="user_id"),)

_CONTACT = "user_id, username, email, email_confirmed, full_name, version, deleted"

_NOTIFICATION = """
          id, user_id, order_id, order_version, event_id, event_type, facts::text AS facts,
          request_id, recipient, unconfirmed, code, code_expires_at, subject, body, status,
          attempts, last_error, retry_at, deferred_since, created_at, sent_at
"""

# A notification as it was tried: it was not suppressed meanwhile, and got no other address.
_AS_IT_WAS_TRIED = """
         WHERE id = %(id)s
           AND status = 'queued'
           AND recipient = %(recipient)s
"""

_MATCHING = """
       WHERE (%(owner_id)s::bigint IS NULL OR user_id = %(owner_id)s)
         AND (%(user_id)s::bigint IS NULL OR user_id = %(user_id)s)
         AND (%(order_id)s::bigint IS NULL OR order_id = %(order_id)s)
         AND (%(status)s::text IS NULL OR status = %(status)s)
         AND (%(event_type)s::text IS NULL OR event_type = %(event_type)s)
"""


def lock_contact(tx, user_id):
    """Return the contact, its row locked until the end of the transaction; made if there is none.

    Whatever is told of one user is taken in one after the other, so an event that waits for the
    contact and the event that brings it cannot miss each other.
    """
    return tx.one(
        Contact,
        f"""
        INSERT INTO contacts (user_id)
        VALUES (%(user_id)s)
            ON CONFLICT (user_id) DO UPDATE
           SET user_id = excluded.user_id
        RETURNING {_CONTACT}
        """,
        user_id=user_id,
    )


def update_contact(tx, user_id, *, username, email, email_confirmed, full_name, version):
    """Return the contact as it is now. version: None leaves the one that is known."""
    return tx.one(
        Contact,
        f"""
           UPDATE contacts
              SET username = %(username)s,
                  email = %(email)s,
                  email_confirmed = %(email_confirmed)s,
                  full_name = %(full_name)s,
                  version = coalesce(%(version)s, version),
                  updated_at = now()
            WHERE user_id = %(user_id)s
        RETURNING {_CONTACT}
        """,
        user_id=user_id,
        username=username,
        email=email,
        email_confirmed=email_confirmed,
        full_name=full_name,
        version=version,
    )


def bury_contact(tx, user_id, deleted_at):
    """Forget name and address, and remember that the user has left.

    The first moment counts: from then on, letters are kept for a while only.
    """
    tx.queue(
        """
        UPDATE contacts
           SET username = NULL,
               email = NULL,
               full_name = NULL,
               deleted = true,
               deleted_at = least(deleted_at, %(deleted_at)s),
               updated_at = now()
         WHERE user_id = %(user_id)s
        """,
        user_id=user_id,
        deleted_at=deleted_at,
    )


def raise_order_version(tx, order_id, version):
    """Remember a version of an order. Returns the highest that has been seen, this one included."""
    return tx.value(
        """
        INSERT INTO order_versions AS seen (order_id, version)
        VALUES (%(order_id)s, %(version)s)
            ON CONFLICT (order_id) DO UPDATE
           SET version = greatest(seen.version, excluded.version)
        RETURNING seen.version
        """,
        order_id=order_id,
        version=version,
    )


def insert_notification(tx, news, fate):
    """Return the id of a new notification, or None if the event has made one already."""
    return tx.value(
        """
        INSERT INTO notifications (
                   user_id, order_id, order_version, event_id, event_type, facts, request_id,
                   code_expires_at, status, last_error, recipient, unconfirmed, code, subject, body
               )
        VALUES (
                   %(user_id)s, %(order_id)s, %(order_version)s, %(event_id)s, %(event_type)s,
                   %(facts)s::json, %(request_id)s,
                   %(code_expires_at)s, %(status)s, %(last_error)s, %(recipient)s,
                   %(unconfirmed)s, %(code)s, %(subject)s, %(body)s
               )
            ON CONFLICT (event_id) DO NOTHING
        RETURNING id
        """,
        **asdict(news) | asdict(fate),
    )


def count_to_unconfirmed(tx, recipient, *, event_types, other_than, at_most):
    """Return how many e-mails a mailbox not known to be its user's has had within a day.

    Those that wait count however old they are, because they are still to be sent. recipient: the
    mailbox in any spelling. event_types: the ones that count. other_than: the event that does not
    count. at_most: stop counting there.
    """
    return tx.value(
        """
        SELECT count(*)
          FROM (
                   SELECT
                     FROM notifications
                    WHERE unconfirmed
                      AND status <> 'suppressed'
                      AND lower(recipient) = ANY(%(spellings)s)
                      AND (
                              status = 'queued'
                              OR coalesce(sent_at, created_at) > now() - interval '1 day'
                          )
                      AND event_type = ANY(%(event_types)s)
                      AND event_id <> %(other_than)s
                    LIMIT %(at_most)s
               ) AS counted
        """,
        spellings=spellings(recipient),
        event_types=list(event_types),
        other_than=other_than,
        at_most=at_most,
    )


def find_notification(tx, notification_id):
    return tx.one(
        Notification,
        f"SELECT {_NOTIFICATION} FROM notifications WHERE id = %(id)s",
        id=notification_id,
    )


def lock_notification(tx, notification_id):
    """Return the notification, its row locked until the end of the transaction, or None."""
    return tx.one(
        Notification,
        f"SELECT {_NOTIFICATION} FROM notifications WHERE id = %(id)s FOR UPDATE",
        id=notification_id,
    )


def count_notifications(tx, **filters):
    return tx.value(count_of(f"notifications {_MATCHING}"), **filters)


def list_notifications(tx, window, **filters):
    return tx.all(
        Notification,
        f"""
        SELECT {_NOTIFICATION}
          FROM notifications
        {_MATCHING}
         AND (
                 %(after_id)s::bigint IS NULL
                 OR (created_at, id) < (%(after_key)s::timestamptz, %(after_id)s)
             )
         ORDER BY created_at DESC, id DESC
         LIMIT %(limit)s
        OFFSET %(offset)s
        """,
        **window,
        **filters,
    )


def count_without_contact(tx):
    """Return as Waiting the queued notifications whose recipient is not known."""
    return tx.one(
        Waiting,
        """
        SELECT count(*) AS count,
               coalesce(extract(epoch FROM now() - min(created_at)), 0)::integer AS oldest_seconds
          FROM (
                   SELECT created_at
                     FROM notifications
                    WHERE status = 'queued'
                      AND recipient IS NULL
                    ORDER BY created_at
                    LIMIT %(most)s
               ) AS waiting
        """,
        most=MOST_COUNTED,
    )


def count_deferred(tx):
    """Return as Waiting the e-mails that the mail server has put off."""
    return tx.one(
        Waiting,
        """
        SELECT count(*) AS count,
               coalesce(extract(epoch FROM now() - min(deferred_since)), 0)::integer
                   AS oldest_seconds
          FROM (
                   SELECT deferred_since
                     FROM notifications
                    WHERE status = 'queued'
                      AND deferred_since IS NOT NULL
                    ORDER BY deferred_since
                    LIMIT %(most)s
               ) AS waiting
        """,
        most=MOST_COUNTED,
    )


def list_to_address(tx, contact):
    """Return the user's queued notifications that have no recipient, or one that was replaced.

    In the order they came. E-mails about an address keep theirs.
    """
    return tx.all(
        Notification,
        f"""
        SELECT {_NOTIFICATION}
          FROM notifications
         WHERE user_id = %(user_id)s
           AND status = 'queued'
           AND (
                   recipient IS NULL
                   OR recipient <> %(email)s AND event_type <> ALL(%(about_an_address)s)
               )
         ORDER BY id
        """,
        user_id=contact.user_id,
        email=contact.email,
        about_an_address=list(ABOUT_AN_ADDRESS),
    )


def suppress_codes(tx, user_id, reason, *, event_types, other_than):
    """Suppress the user's queued e-mails of those kinds that take a code to any other address."""
    tx.queue(
        """
        UPDATE notifications
           SET status = 'suppressed',
               code = NULL,
               retry_at = NULL,
               last_error = %(reason)s
         WHERE user_id = %(user_id)s
           AND status = 'queued'
           AND lower(recipient) <> ALL(%(spellings)s)
           AND code IS NOT NULL
           AND event_type = ANY(%(event_types)s)
        """,
        user_id=user_id,
        reason=reason,
        event_types=list(event_types),
        spellings=spellings(other_than),
    )


def forget_code(tx, notification_id):
    """Forget that the e-mail of a notification had a code."""
    tx.queue(
        "UPDATE notifications SET code = NULL, code_expires_at = NULL WHERE id = %(id)s",
        id=notification_id,
    )


def update_fate(tx, notification_id, fate):
    """Begin anew with a notification; the e-mail of one that had one stays readable."""
    tx.queue(
        """
        UPDATE notifications
           SET status = %(status)s,
               last_error = %(last_error)s,
               retry_at = NULL,
               deferred_since = NULL,
               recipient = coalesce(%(recipient)s, recipient),
               unconfirmed = %(unconfirmed)s,
               code = %(code)s,
               subject = coalesce(%(subject)s, subject),
               body = coalesce(%(body)s, body)
         WHERE id = %(id)s
        """,
        id=notification_id,
        **asdict(fate),
    )


def suppress_queued(tx, user_id, reason):
    """Suppress what is still to be sent to a user."""
    tx.queue(
        """
        UPDATE notifications
           SET status = 'suppressed',
               code = NULL,
               retry_at = NULL,
               last_error = %(reason)s
         WHERE user_id = %(user_id)s
           AND status = 'queued'
        """,
        user_id=user_id,
        reason=reason,
    )


def suppress(tx, notification_id, reason):
    """Suppress a notification that is still queued."""
    tx.queue(
        """
        UPDATE notifications
           SET status = 'suppressed',
               code = NULL,
               retry_at = NULL,
               last_error = %(reason)s
         WHERE id = %(id)s
           AND status = 'queued'
        """,
        id=notification_id,
        reason=reason,
    )


def record_sent(tx, event_id, recipient):
    """Note that an event's e-mail was taken, and for which address; noted already, nothing changes.

    The user may have got another address while the mail server took the e-mail.
    """
    tx.queue(
        """
        UPDATE notifications
           SET status = 'sent',
               recipient = %(recipient)s,
               code = NULL,
               attempts = attempts + 1,
               last_error = NULL,
               retry_at = NULL,
               sent_at = now()
         WHERE event_id = %(event_id)s
           AND sent_at IS NULL
        """,
        event_id=event_id,
        recipient=recipient,
    )


def retry_all_to(tx, user_id, recipient):
    """End the pauses of the user's e-mails to an address, because one of them has ended."""
    tx.queue(
        """
        UPDATE notifications
           SET retry_at = now()
         WHERE user_id = %(user_id)s
           AND status = 'queued'
           AND recipient = %(recipient)s
           AND retry_at > now()
        """,
        user_id=user_id,
        recipient=recipient,
    )


def record_refused(tx, notification, reason):
    """Count a try that brought a refusal for good, unless the e-mail goes elsewhere by now."""
    tx.queue(
        f"""
        UPDATE notifications
           SET status = 'failed',
               code = NULL,
               attempts = attempts + 1,
               last_error = %(reason)s
        {_AS_IT_WAS_TRIED}
        """,
        id=notification.id,
        recipient=notification.recipient,
        reason=reason,
    )


def record_deferred(tx, notification, reason, retry_at):
    """Count a try that is to be repeated at `retry_at`, unless the e-mail goes elsewhere by now."""
    tx.queue(
        f"""
        UPDATE notifications
           SET attempts = attempts + 1,
               last_error = %(reason)s,
               retry_at = %(retry_at)s,
               deferred_since = coalesce(deferred_since, now())
        {_AS_IT_WAS_TRIED}
        """,
        id=notification.id,
        recipient=notification.recipient,
        reason=reason,
        retry_at=retry_at,
    )


def record_silence(tx, notification_id, reason):
    """Note why an e-mail still waits, though it was not tried."""
    tx.queue(
        """
        UPDATE notifications
           SET last_error = %(reason)s
         WHERE id = %(id)s
           AND status = 'queued'
        """,
        id=notification_id,
        reason=reason,
    )


def delete_notifications(tx, user_id, recipients):
    """Delete the user's notifications to recipients that a pattern of LIKE matches.

    Those about the same orders go too: what arrives after the user was deleted has no recipient.
    """
    return tx.run(
        """
        DELETE FROM notifications
         WHERE user_id = %(user_id)s
           AND (
                   recipient LIKE %(recipients)s
                   OR recipient IS NULL
                  AND order_id IN (
                          SELECT order_id
                            FROM notifications
                           WHERE user_id = %(user_id)s
                             AND recipient LIKE %(recipients)s
                      )
               )
        """,
        user_id=user_id,
        recipients=recipients,
    )


def record_waiting(tx, notification_id, reason, retry_at):
    """Note until when an e-mail waits that was not tried, and why."""
    tx.queue(
        """
        UPDATE notifications
           SET last_error = %(reason)s,
               retry_at = %(retry_at)s
         WHERE id = %(id)s
           AND status = 'queued'
        """,
        id=notification_id,
        reason=reason,
        retry_at=retry_at,
    )


def find_retry_before(tx, notification, *, pause):
    """Return when a deferred e-mail before this one of its subject is tried again, or None.

    pause: for an e-mail that is just being tried.
    """
    return tx.value(
        """
        SELECT max(coalesce(retry_at, now() + %(pause)s))
          FROM notifications
         WHERE user_id = %(user_id)s
           AND status = 'queued'
           AND id < %(id)s
           AND deferred_since IS NOT NULL
           AND order_id IS NOT DISTINCT FROM %(order_id)s
           AND event_type <> ALL(%(about_an_address)s)
        """,
        id=notification.id,
        user_id=notification.user_id,
        order_id=notification.order_id,
        about_an_address=list(ABOUT_AN_ADDRESS),
        pause=pause,
    )


def take_due(tx, *, longest, limit):
    """Return up to `limit` e-mails that are to be tried again, and wait no longer for that.

    longest: a pause that is longer comes of a clock that stepped back.
    """
    return tx.all(
        Notification,
        f"""
           UPDATE notifications
              SET retry_at = NULL
            WHERE id = ANY (ARRAY (
                      SELECT id
                        FROM notifications
                       WHERE status = 'queued'
                         AND retry_at NOT BETWEEN now() AND now() + %(longest)s
                       ORDER BY retry_at, id
                       LIMIT %(limit)s
                         FOR NO KEY UPDATE SKIP LOCKED
                  ))
        RETURNING {_NOTIFICATION}
        """,
        longest=longest,
        limit=limit,
    )


class _LettersOfDeletedUsers:
    """Whatever notifications say of users who are deleted: recipient, subject, body and facts.

    The rows stay, without a word of the user: an event that comes again must find its row.
    """

    _DUE = """
              deleted
          AND erased_at IS NULL
          AND coalesce(deleted_at, updated_at) < now() - %(kept)s::interval
    """

    def count_due(self, tx, kept):
        """Return how many notifications are to be erased."""
        return tx.value(
            f"""
            SELECT count(*)
              FROM notifications
             WHERE user_id IN (SELECT user_id FROM contacts WHERE {self._DUE})
            """,
            kept=kept,
        )

    def delete_due(self, tx, kept):
        """Erase up to AT_ONCE notifications of one user. Returns how many, 0 at the end."""
        user_id = tx.value(
            f"""
            SELECT user_id
              FROM contacts
             WHERE {self._DUE}
             ORDER BY coalesce(deleted_at, updated_at)
             LIMIT 1
               FOR UPDATE
            """,
            kept=kept,
        )
        if user_id is None:
            return 0
        erased = self._erase(tx, user_id)
        if erased < retention.AT_ONCE:
            tx.run(
                "UPDATE contacts SET erased_at = now() WHERE user_id = %(user_id)s",
                user_id=user_id,
            )
        return erased or 1  # the user is done, and the next one may not be

    @staticmethod
    def _erase(tx, user_id):
        return tx.run(
            """
            UPDATE notifications
               SET facts = '{}', recipient = NULL, subject = NULL, body = NULL
             WHERE id = ANY(ARRAY(
                       SELECT id
                         FROM notifications
                        WHERE user_id = %(user_id)s
                          AND (
                                  facts::text <> '{}'
                                  OR num_nonnulls(recipient, subject, body) > 0
                              )
                        LIMIT %(limit)s
                   ))
            """,
            user_id=user_id,
            limit=retention.AT_ONCE,
        )


LETTERS_OF_DELETED_USERS = _LettersOfDeletedUsers()
