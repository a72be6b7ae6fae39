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
from chassis.pagination import count_of

LEASE_SECONDS = 8
MOST_COUNTED = 10_000
LONGEST_PAUSE_SECONDS = 120  # of a message; one that is longer comes of a clock that stepped back

# Messages of the subject of another row, behind it. Its name goes into the braces. The plan must
# not depend on statistics, which are missing after a sudden backlog. Only the index outbox_subjects
# has `id + 0`: asked for `id`, the planner may take the primary key, and read all other subjects.
_FOLLOWS = """
              lane = {0}.lane
              AND subject = {0}.subject
              AND state = 'waiting'
              AND id + 0 > {0}.id
"""
_BY_INDEX_ONLY = "SET LOCAL enable_sort = off"


@dataclass(frozen=True, slots=True)
class Message:
    """A leased row. `lease` is the fencing token: who lost it can no longer settle the row.

    is_overdue: it has waited too long, and no alarm was given yet.
    is_followed: another message of its subject waits behind it.
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
    is_followed: bool


def publish(tx, event_type, *, subject, data, to):
    """Record an event for each of the services in `to`. Returns the event's id.

    event_type: as `order.confirmed`. subject: what it is about, as `order/7`; events of one subject
    reach each service in the order in which they were published. data: JSON values.
    """
    event = _event(event_type, subject, data)
    _insert(tx, to, subject, event, held_seconds=0, lease=None)
    return event["id"]


def publish_latest(tx, event_type, *, subject, data, to):
    """Record an event that tells the whole state of its subject. Returns the event's id.

    As `publish`; but if the last message that waits of the subject is an event of the same type,
    and no worker has it, the new event takes its place in the queue: its readers need the latest
    state only. Call it with the row of the subject locked.
    """
    event = _event(event_type, subject, data)
    tx.queue(_BY_INDEX_ONLY)
    tx.queue(
        """
          WITH replaced AS (
                   UPDATE outbox
                      SET message = %(message)s::json,
                          request_id = %(request_id)s,
                          traceparent = %(traceparent)s,
                          attempts = 0,
                          last_error = NULL
                    WHERE id = ANY (ARRAY (
                              SELECT (
                                         SELECT id
                                           FROM outbox
                                          WHERE lane = receiver.lane
                                            AND subject = %(subject)s
                                            AND state = 'waiting'
                                          ORDER BY id + 0 DESC
                                          LIMIT 1
                                     )
                                FROM unnest(%(lanes)s) AS receiver (lane)
                          ))
                      AND state <> 'dead'
                      AND lease IS NULL
                      AND message->>'type' = %(event_type)s
                RETURNING lane
               )
        INSERT INTO outbox (lane, subject, message, request_id, traceparent)
        SELECT lane, %(subject)s, %(message)s::json, %(request_id)s, %(traceparent)s
          FROM unnest(%(lanes)s) AS lane
         WHERE lane NOT IN (SELECT lane FROM replaced)
        """,
        event_type=event_type,
        lanes=list(to),
        **_written(subject, event),
    )
    tx.queue("SET LOCAL enable_sort = DEFAULT")  # for what the caller goes on to do
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


def is_waiting(tx, lanes, *, subject):
    """Return whether a message of the subject waits in one of the lanes, which are a list."""
    return tx.value(
        """
        SELECT EXISTS (
                   SELECT
                     FROM outbox
                    WHERE lane = ANY(%(lanes)s)
                      AND subject = %(subject)s
                      AND state = 'waiting'
               )
        """,
        lanes=lanes,
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
    """Lease up to `limit` messages that are due for LEASE_SECONDS, and return them in order of id.

    First come heads, each the oldest message of its subject, those that are due for longest first.
    What room is left goes to the messages that follow them, the same number for each subject and
    without a gap. Other workers skip rows that are locked or leased (PostgreSQL's SKIP LOCKED).
    """
    return _lease(tx, lane, limit, heads_by="due_at, id")


def lease_newest(tx, lane, limit):
    """As `lease_messages`; but the heads that are due for the shortest time come first."""
    return _lease(tx, lane, limit, heads_by="due_at DESC, id DESC")


def _lease(tx, lane, limit, *, heads_by):
    """heads_by: an order that the index outbox_heads has, forwards or backwards."""
    # What this transaction writes may be lost in a crash: the row is then leased once more.
    tx.queue("SET LOCAL synchronous_commit = off")
    tx.queue(_BY_INDEX_ONLY)
    tx.queue(
        """
        UPDATE outbox
           SET due_at = now()
         WHERE id = ANY (ARRAY (
                   SELECT id
                     FROM outbox
                    WHERE lane = %(lane)s
                      AND is_head
                      AND due_at > now() + make_interval(secs => %(longest)s)
                    ORDER BY due_at, id
                    LIMIT %(limit)s
                      FOR NO KEY UPDATE SKIP LOCKED
               ))
        """,
        lane=lane,
        limit=limit,
        longest=LONGEST_PAUSE_SECONDS,
    )
    messages = tx.all(
        Message,
        f"""
           WITH head AS MATERIALIZED (
                    SELECT id, lane, subject
                      FROM outbox
                     WHERE lane = %(lane)s
                       AND is_head
                       AND due_at <= now()
                     ORDER BY {heads_by}
                     LIMIT %(limit)s
                       FOR NO KEY UPDATE SKIP LOCKED
                ),
                next AS MATERIALIZED (
                    SELECT message.id, head.subject
                      FROM head
                     CROSS JOIN LATERAL (
                               SELECT id
                                 FROM outbox
                                WHERE {_FOLLOWS.format("head")}
                                ORDER BY id + 0
                                LIMIT (SELECT %(limit)s / count(*) - 1 FROM head)
                           ) AS message
                ),
                free AS MATERIALIZED (
                    SELECT id
                      FROM outbox
                     WHERE id = ANY (ARRAY (SELECT id FROM next))
                       AND state <> 'dead'
                       AND due_at NOT BETWEEN now() AND now() + make_interval(secs => %(longest)s)
                       FOR NO KEY UPDATE SKIP LOCKED
                ),
                follower AS (
                    SELECT id
                      FROM next
                     WHERE NOT EXISTS (
                               SELECT
                                 FROM next AS earlier
                                WHERE earlier.subject = next.subject
                                  AND earlier.id <= next.id
                                  AND earlier.id NOT IN (SELECT id FROM free)
                           )
                )
         UPDATE outbox AS leased
            SET due_at = now() + make_interval(secs => %(seconds)s),
                lease = %(lease)s,
                attempts = attempts + 1
          WHERE id = ANY (ARRAY (SELECT id FROM head UNION ALL SELECT id FROM follower))
      RETURNING id, lane, subject, message::text AS body, request_id, traceparent, attempts,
                lease::text, coalesce(alarm_at <= now(), false) AS is_overdue,
                (
                    SELECT true
                      FROM outbox
                     WHERE {_FOLLOWS.format("leased")}
                     ORDER BY id + 0
                     LIMIT 1
                ) IS NOT NULL AS is_followed
        """,
        lane=lane,
        limit=limit,
        longest=LONGEST_PAUSE_SECONDS,
        seconds=LEASE_SECONDS,
        lease=str(uuid.uuid4()),
    )
    return sorted(messages, key=lambda message: message.id)


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


def count_waiting(tx, lane, at_most):
    """Return how many messages wait in a lane. at_most: there is no need to count further."""
    tx.queue(_BY_INDEX_ONLY)
    return tx.value(
        """
        SELECT count(*)
          FROM (
                   SELECT
                     FROM outbox
                    WHERE lane = %(lane)s
                      AND state = 'waiting'
                    ORDER BY subject, id + 0
                    LIMIT %(at_most)s
               ) AS counted
        """,
        lane=lane,
        at_most=at_most,
    )


def claim_alarm(tx, message_id):
    """Return True for one caller, once a message has waited for too long: it gives the alarm."""
    return bool(
        tx.value(
            """
               UPDATE outbox
                  SET alarm_at = NULL
                WHERE id = %(id)s
                  AND alarm_at <= now()
            RETURNING true
            """,
            id=message_id,
        )
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
    """Return how many there are, as far as lists count."""
    return tx.value(count_of("outbox WHERE state = 'dead'"))


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
    """Let the worker deliver a dead letter at once. Returns it as it was, or None.

    It keeps its place before newer messages of the same subject. Messages already delivered are
    not recalled.
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
    """What an outbox holds. oldest_seconds: the age of the oldest that waits, 0 if nothing does.

    waiting, dead: counted up to MOST_COUNTED; one more than that stands for all that is more.
    """

    waiting: int
    dead: int
    oldest_seconds: int


@dataclass(frozen=True, slots=True)
class Oldest:
    """The message of a lane that waits for longest. seconds: its age. reason: None if not tried.

    is_overdue: it has waited too long, and no alarm was given yet.
    """

    id: int
    lane: str
    subject: str
    request_id: str
    traceparent: str | None
    attempts: int
    reason: str | None
    seconds: int
    is_overdue: bool


# The first entry of each lane in the index outbox_oldest, from lane to lane.
_OLDEST_OF_EACH_LANE = """
WITH RECURSIVE oldest AS (
    (
        SELECT id, lane
          FROM outbox
         WHERE is_head
         ORDER BY lane, id
         LIMIT 1
    )
    UNION ALL
    SELECT following.id, following.lane
      FROM oldest
     CROSS JOIN LATERAL (
               SELECT id, lane
                 FROM outbox
                WHERE is_head
                  AND lane > oldest.lane
                ORDER BY lane, id
                LIMIT 1
           ) AS following
)
"""
_AGE = "greatest(extract(epoch FROM now() - created_at), 0)::integer"


def oldest_of_each_lane(tx):
    """Return the Oldest of each lane in which something waits."""
    tx.queue(_BY_INDEX_ONLY)
    return tx.all(
        Oldest,
        f"""
        {_OLDEST_OF_EACH_LANE}
        SELECT id, lane, subject, request_id, traceparent, attempts, last_error AS reason,
               {_AGE} AS seconds, coalesce(alarm_at <= now(), false) AS is_overdue
          FROM outbox
         WHERE id = ANY (ARRAY (SELECT id FROM oldest))
        """,
    )


def backlog(tx):
    """Return the Backlog."""
    tx.queue(_BY_INDEX_ONLY)
    return tx.one(
        Backlog,
        f"""
        {_OLDEST_OF_EACH_LANE}
        SELECT (
                   SELECT count(*)
                     FROM (
                              SELECT
                                FROM outbox
                               WHERE state = 'waiting'
                               ORDER BY lane, subject, id + 0
                               LIMIT %(most)s
                          ) AS counted
               ) AS waiting,
               (
                   SELECT count(*)
                     FROM (
                              SELECT
                                FROM outbox
                               WHERE state = 'dead'
                               ORDER BY id
                               LIMIT %(most)s
                          ) AS counted
               ) AS dead,
               (
                   SELECT coalesce(max({_AGE}), 0)
                     FROM outbox
                    WHERE id = ANY (ARRAY (SELECT id FROM oldest))
               ) AS oldest_seconds
        """,
        most=MOST_COUNTED + 1,
    )


def _event(event_type, subject, data):
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": f"/{context.service.get().name}",
        "type": event_type,
        "subject": subject,
        "time": datetime.now(UTC),
        "datacontenttype": "application/json",
        "requestid": context.request_id.get() or context.new_request_id(),
        "traceparent": context.traceparent.get() or context.continued_trace(None),
        "data": data,
    }


def _insert(tx, lanes, subject, message, *, held_seconds, lease):
    tx.queue(
        """
        INSERT INTO outbox (lane, subject, message, request_id, traceparent, due_at, lease)
        SELECT lane, %(subject)s, %(message)s::json, %(request_id)s, %(traceparent)s,
               now() + make_interval(secs => %(held_seconds)s), %(lease)s
          FROM unnest(%(lanes)s) AS lane
        """,
        lanes=list(lanes),
        held_seconds=held_seconds,
        lease=lease and str(lease),
        **_written(subject, message),
    )


def _written(subject, message):
    """Return the columns of a message that every statement writes in the same way."""
    return {
        "subject": subject,
        "message": wire.dumps(message).decode(),
        "request_id": context.request_id.get() or context.new_request_id(),
        "traceparent": context.traceparent.get(),
    }
