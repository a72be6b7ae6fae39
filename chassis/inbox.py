"""The inbox: an event that comes twice works once.

Delivery is at least once, so the receiver remembers the ids of what it has taken in, in the
transaction of the work itself. Old ids are forgotten; by then what an event does is unique in the
receiver's own tables as well.
"""

KEPT_DAYS = 30


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
