"""The inbox: an event that comes twice works once.

Delivery is at least once, so the receiver remembers the ids of what it has taken in, in the
transaction of the work itself. Old ids are forgotten; by then what an event does is unique in the
receiver's own tables as well.
"""

from chassis import context
from chassis.database import transaction

KEPT_DAYS = 30


def take_in(events, handle):
    """Call handle(tx, event) for each event that is new, in one transaction for all of them.

    events: as `chassis.events.CloudEvent` loads them, in the order in which rows are to be locked.
    What is logged and told meanwhile belongs to the request that each event came from.
    """
    with transaction() as tx:
        for event in events:
            with context.caused_by(request=event["requestid"], trace=event["traceparent"]):
                if is_new(tx, event["id"]):
                    handle(tx, event)


def is_new(tx, event_id):
    """Remember an event's id. False if it has been here before: then there is nothing to do."""
    return tx.run(
        """
        INSERT INTO inbox (event_id)
        VALUES (%(event_id)s)
            ON CONFLICT DO NOTHING
        """,
        event_id=event_id,
    )


def forget_old(tx):
    """Delete ids older than KEPT_DAYS. Returns how many."""
    return tx.run(
        "DELETE FROM inbox WHERE received_at < now() - make_interval(days => %(days)s)",
        days=KEPT_DAYS,
    )
