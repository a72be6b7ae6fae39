"""The transactional outbox: what a change still has to tell or do, written with the change.

    with transaction() as tx:
        database.confirm_order(tx, ...)
        outbox.publish(tx, "order.confirmed", subject="order/7", data={...}, to=["microservice4"])

A row is deleted once its message has been delivered; until then the worker leases it, delivers it
outside of any transaction, and tries again.
https://microservices.io/patterns/data/transactional-outbox.html
"""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from chassis import context, wire

LEASE_SECONDS = 8


@dataclass(frozen=True, slots=True)
class Message:
    """A leased row. `lease` is the fencing token: who lost it can no longer settle the row.

    is_overdue: it has waited too long, and nobody was told of that yet.
    """

    id: int
    lane: str
    subject: str
    body: str
    request_id: str
    traceparent: str | None
    attempts: int
    lease: str
    is_overdue: bool


def publish(tx, event_type, *, subject, data, to):
    """Record an event for each of the services in `to`. Returns the event's id.

    event_type: as `order.confirmed`. subject: what it is about, as `order/7`; events of one subject
    reach each service in the order in which they were published. data: JSON values.
    """
    request_id = context.request_id.get() or context.new_request_id()
    event = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": f"/{context.service.get().name}",
        "type": event_type,
        "subject": subject,
        "time": datetime.now(UTC),
        "datacontenttype": "application/json",
        "requestid": request_id,
        "traceparent": context.traceparent.get() or context.continued_trace(None),
        "data": data,
    }
    _insert(tx, to, subject, event, held_seconds=0, lease=None)
    return event["id"]


def enqueue(tx, lane, *, subject, message):
    """Record a task of the service's own, for the function that its worker has for `lane`."""
    _insert(tx, [lane], subject, message, held_seconds=0, lease=None)


def enqueue_held(tx, lane, *, subject, message):
    """Record a task that the caller does itself, now; the worker takes over when the lease ends.

    Returns the lease, to be given to `settle` or `hand_over`.
    """
    lease = uuid.uuid4()
    _insert(tx, [lane], subject, message, held_seconds=LEASE_SECONDS, lease=lease)
    return lease


def settle(tx, lane, *, subject):
    """The task of that lane and subject is done, whoever did it."""
    tx.queue(
        """
        DELETE FROM outbox
         WHERE lane = %(lane)s
           AND subject = %(subject)s
           AND state = 'waiting'
        """,
        lane=lane,
        subject=subject,
    )


def hand_over(tx, lane, *, subject, lease):
    """Let the worker have a held task at once."""
    tx.run(
        """
           WITH due AS (
                       UPDATE outbox
                          SET due_at = now(), lease = NULL
                        WHERE lane = %(lane)s
                          AND subject = %(subject)s
                          AND state = 'waiting'
                          AND lease = %(lease)s
                    RETURNING lane
                )
         SELECT pg_notify('outbox', lane) FROM due
        """,
        lane=lane,
        subject=subject,
        lease=str(lease),
    )


def lease_messages(tx, lane, limit):
    """Lease up to `limit` messages that are due, each the oldest of its subject, for LEASE_SECONDS.

    Other workers skip rows that are locked or leased (PostgreSQL's SKIP LOCKED).
    """
    # min(id), where NOT EXISTS would say it better: without statistics, as after a sudden backlog,
    # the planner joins that by lane alone, and the cost grows with the square of what waits.
    # What this transaction writes may be lost in a crash: the row is then leased once more.
    tx.queue("SET LOCAL synchronous_commit = off")
    return tx.all(
        Message,
        """
           UPDATE outbox
              SET due_at = now() + make_interval(secs => %(seconds)s),
                  lease = %(lease)s,
                  attempts = attempts + 1
            WHERE id IN (
                      SELECT id
                        FROM outbox AS due
                       WHERE lane = %(lane)s
                         AND state = 'waiting'
                         AND due_at <= now()
                         AND id = (
                                 SELECT min(id)
                                   FROM outbox AS of_subject
                                  WHERE of_subject.lane = due.lane
                                    AND of_subject.subject = due.subject
                                    AND of_subject.state = 'waiting'
                             )
                       ORDER BY due_at, id
                       LIMIT %(limit)s
                         FOR UPDATE SKIP LOCKED
                  )
        RETURNING id, lane, subject, message::text AS body, request_id, traceparent, attempts,
                  lease::text, coalesce(alarm_at <= now(), false) AS is_overdue
        """,
        lane=lane,
        limit=limit,
        seconds=LEASE_SECONDS,
        lease=str(uuid.uuid4()),
    )


def delivered(tx, messages):
    """These messages are done. Rows whose lease went to somebody else stay theirs."""
    tx.queue("SET LOCAL synchronous_commit = off")
    tx.queue(
        """
        DELETE FROM outbox
         WHERE id = ANY(%(ids)s)
           AND lease = %(lease)s
        """,
        ids=[message.id for message in messages],
        lease=messages[0].lease,
    )


def postponed(tx, message, *, seconds, reason):
    """Try this message again in so many seconds."""
    tx.queue(
        """
        UPDATE outbox
           SET due_at = now() + make_interval(secs => %(seconds)s),
               lease = NULL,
               last_error = %(reason)s
         WHERE id = %(id)s
           AND lease = %(lease)s
        """,
        id=message.id,
        lease=message.lease,
        seconds=seconds,
        reason=reason,
    )


def put_back(tx, messages, *, seconds, reason):
    """These messages of one lease were not tried, which is no attempt; again in so many seconds."""
    tx.queue(
        """
        UPDATE outbox
           SET due_at = now() + make_interval(secs => %(seconds)s),
               lease = NULL,
               attempts = attempts - 1,
               last_error = %(reason)s
         WHERE id = ANY(%(ids)s)
           AND lease = %(lease)s
        """,
        ids=[message.id for message in messages],
        lease=messages[0].lease,
        seconds=seconds,
        reason=reason,
    )


def alarm_given(tx, message):
    """Somebody was told that this message is overdue; once is enough. Call it under the lease."""
    tx.queue(
        """
        UPDATE outbox
           SET alarm_at = NULL
         WHERE id = %(id)s
           AND lease = %(lease)s
        """,
        id=message.id,
        lease=message.lease,
    )


def refused(tx, message, *, reason):
    """The receiver has refused this message for good: keep it as a dead letter, with the reason."""
    tx.queue(
        """
        UPDATE outbox
           SET state = 'dead',
               lease = NULL,
               last_error = %(reason)s
         WHERE id = %(id)s
           AND lease = %(lease)s
        """,
        id=message.id,
        lease=message.lease,
        reason=reason,
    )


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was refused for good. event_id, event_type: None if it is no event."""

    id: int
    lane: str
    subject: str
    event_id: str | None
    event_type: str | None
    reason: str
    attempts: int
    created_at: datetime
    message: object


_DEAD_LETTER = """
          id, lane, subject, message->>'id' AS event_id, message->>'type' AS event_type,
          last_error AS reason, attempts, created_at, message
"""


def count_dead_letters(tx):
    """Return how many there are."""
    return tx.value("SELECT count(*) FROM outbox WHERE state = 'dead'")


def list_dead_letters(tx, window):
    """Return the DeadLetters in a window of chassis.pagination, the oldest first."""
    return tx.all(
        DeadLetter,
        f"""
        SELECT {_DEAD_LETTER}
          FROM outbox
         WHERE state = 'dead'
           AND (%(after_id)s::bigint IS NULL OR id > %(after_id)s)
         ORDER BY id
         LIMIT %(limit)s
        OFFSET %(offset)s
        """,
        **window,
    )


def find_dead_letter(tx, letter_id):
    """Return a DeadLetter or None."""
    return tx.one(
        DeadLetter,
        f"""
        SELECT {_DEAD_LETTER}
          FROM outbox
         WHERE id = %(id)s
           AND state = 'dead'
        """,
        id=letter_id,
    )


def replay_dead_letter(tx, letter_id):
    """Let the worker try a dead letter anew, at once. Returns it as it was, or None.

    It goes before what waits of its subject, as it would have; what went out meanwhile, went.
    """
    letter = find_dead_letter(tx, letter_id)
    replayed = tx.value(
        """
           WITH due AS (
                       UPDATE outbox
                          SET state = 'waiting',
                              due_at = now(),
                              attempts = 0,
                              alarm_at = now() + interval '5 minutes'
                        WHERE id = %(id)s
                          AND state = 'dead'
                    RETURNING lane
                )
         SELECT pg_notify('outbox', lane) IS NOT NULL FROM due
        """,
        id=letter_id,
    )
    return letter if replayed else None


def discard_dead_letter(tx, letter_id):
    """Delete a dead letter. Returns the DeadLetter that was deleted, or None."""
    return tx.one(
        DeadLetter,
        f"""
           DELETE FROM outbox
            WHERE id = %(id)s
              AND state = 'dead'
        RETURNING {_DEAD_LETTER}
        """,
        id=letter_id,
    )


@dataclass(frozen=True, slots=True)
class Backlog:
    waiting: int
    dead: int
    oldest_seconds: int


def backlog(tx):
    """Return how much waits, how much is dead, and the age of the oldest that waits, in seconds."""
    return tx.one(
        Backlog,
        """
        SELECT count(*) FILTER (WHERE state = 'waiting') AS waiting,
               count(*) FILTER (WHERE state = 'dead') AS dead,
               coalesce(
                   extract(epoch FROM now() - min(created_at) FILTER (WHERE state = 'waiting')), 0
               )::integer AS oldest_seconds
          FROM outbox
        """,
    )


def _insert(tx, lanes, subject, message, *, held_seconds, lease):
    tx.queue(
        """
        INSERT INTO outbox (lane, subject, message, request_id, traceparent, due_at, lease)
        SELECT lane, %(subject)s, %(message)s::json, %(request_id)s, %(traceparent)s,
               now() + make_interval(secs => %(held_seconds)s), %(lease)s
          FROM unnest(%(lanes)s) AS lane
        """,
        lanes=list(lanes),
        subject=subject,
        message=wire.dumps(message).decode(),
        request_id=context.request_id.get() or context.new_request_id(),
        traceparent=context.traceparent.get(),
        held_seconds=held_seconds,
        lease=lease and str(lease),
    )
