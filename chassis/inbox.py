"""The inbox: an event that comes twice works once.

Delivery is at least once, so the receiver remembers the ids of what it has taken in, in the
transaction of the work itself. Old ids are forgotten; by then what an event does is unique in the
receiver's own tables as well.
"""

from chassis import audit, context, retention
from chassis.database import transaction

RETENTION = retention.Rule(
    "ids of events",
    retention.Rows("inbox", moment="received_at"),
    retention.always("30 days"),
)


def take_in(events, handle):
    """Call handle(tx, event) for each event that is new, in one transaction for all of them.

    events: as `chassis.events.CloudEvent` loads them, in the order in which rows are to be locked.
    What is logged and told meanwhile belongs to the request that each event came from.
    """
    with transaction() as tx:
        for event in new_among(tx, events):
            with context.caused_by(request=event["requestid"], trace=event["traceparent"]):
                handle(tx, event)


def new_among(tx, events):
    """Remember the events. Returns those that have not been here before, each of them once.

    They are written into the audit log as well.
    """
    by_id = {}
    for event in events:
        by_id.setdefault(event["id"], event)
    new = set(
        tx.column(
            """
            INSERT INTO inbox (event_id)
            SELECT event_id
              FROM unnest(%(ids)s::text[]) AS event_id
             ORDER BY event_id
                ON CONFLICT DO NOTHING
            RETURNING event_id
            """,
            ids=list(by_id),
        )
    )
    found = [event for event_id, event in by_id.items() if event_id in new]
    audit.record_events(tx, found)
    return found
