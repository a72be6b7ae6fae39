"""The audit log: what administrators and services have written, and who signed in as administrator.

    with transaction() as tx:
        product = database.insert_product(tx, ...)
        audit.record(tx, "product.created", f"product/{product.id}")

An entry is written in the transaction of the work: there are both or neither. The database refuses
to change one, or to delete one that is younger than 24 months. Administrators
read them at `GET /audit` (`chassis.audit_endpoint`).
"""

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from chassis import context, retention
from chassis.pagination import count_of

ROWS = retention.Rows("audit_entries", moment="at")

_MATCHING = """
       WHERE (%(actor)s::text IS NULL OR actor = %(actor)s)
         AND (%(since)s::timestamptz IS NULL OR at >= %(since)s)
         AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One write. actor: `user:7`, `service:microservice3` or `operator`. subject: as `product/7`.

    count: 1, and for failed sign-ins how many there were.
    """

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    request_id: str
    count: int


def record(tx, action, subject):
    """Record a write, if an administrator or a service is the caller in hand; else do nothing.

    action: `product.created`, a word or two and what was done. subject: `product/7`.
    """
    _insert(tx, [action], [subject], [context.request_id.get()])


def record_events(tx, events):
    """Record events that were taken in, as the actions that they tell of, each with its request.

    events: as `chassis.events.CloudEvent` loads them.
    """
    _insert(
        tx,
        [event["type"] for event in events],
        [event["subject"] for event in events],
        [event["requestid"] or context.request_id.get() for event in events],
    )


def record_failures(tx, actor, action, subject, *, request_id, count):
    """Record how often a stranger failed. actor: the client's network, as `address:203.0.113.7`."""
    tx.queue(
        """
        INSERT INTO audit_entries (actor, action, subject, request_id, count)
        VALUES (%(actor)s, %(action)s, %(subject)s, %(request_id)s, %(count)s)
        """,
        actor=actor,
        action=action,
        subject=subject,
        request_id=request_id,
        count=count,
    )


def actor():
    """Return the caller in hand, as `user:7`, if what they write is recorded, else None."""
    return context.actor.get() if context.is_privileged.get() else None


@contextmanager
def on_behalf_of(actor):
    """Let what follows be recorded as done by `actor`: what a worker does that they have begun.

    actor: as `actor()` has returned it for them.
    """
    tokens = [context.actor.set(actor), context.is_privileged.set(actor is not None)]
    try:
        yield
    finally:
        context.is_privileged.reset(tokens[1])
        context.actor.reset(tokens[0])


@contextmanager
def by_operator():
    """Record what follows as done by `operator`: a person at a terminal of the host, or a script.

    It gets a request id of its own.
    """
    with context.work(request=context.new_request_id()), on_behalf_of("operator"):
        yield


def _insert(tx, actions, subjects, request_ids):
    if not actions or actor() is None:
        return
    tx.queue(
        """
        INSERT INTO audit_entries (actor, action, subject, request_id)
        SELECT %(actor)s, action, subject, request_id
          FROM unnest(%(actions)s, %(subjects)s, %(request_ids)s)
               AS written (action, subject, request_id)
        """,
        actor=actor(),
        actions=actions,
        subjects=subjects,
        request_ids=request_ids,
    )


def count_entries(tx, **filters):
    return tx.value(count_of(f"audit_entries {_MATCHING}"), **filters)


def list_entries(tx, window, **filters):
    """Return entries, newest first. filters: actor, since (inclusive), until (exclusive)."""
    return tx.all(
        Entry,
        f"""
        SELECT id, at, actor, action, subject, request_id, count
          FROM audit_entries
        {_MATCHING}
         AND (
                 %(after_id)s::bigint IS NULL
                 OR (at, id) < (%(after_key)s::timestamptz, %(after_id)s)
             )
         ORDER BY at DESC, id DESC
         LIMIT %(limit)s
        OFFSET %(offset)s
        """,
        **window,
        **filters,
    )
