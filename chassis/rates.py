"""Rates: how often one user may do something in a minute, whichever process serves them.

    with transaction() as tx:
        rates.count(tx, "orders", caller, per_minute=120)
        database.insert_order(tx, ...)

The count is a row that the transaction of the work changes, so a request that fails is not counted,
and a refused one writes nothing. The table has a row for each user of the last hour or so, and is
not logged: after a crash of PostgreSQL everybody begins at zero.
"""

from chassis import retention
from chassis.errors import TooManyRequests

RETENTION = retention.Rule(
    "counts of requests",
    retention.Rows("request_counts", moment="began_at"),
    retention.always("1 minute"),
)


def count(tx, action, caller, per_minute):
    """Count one action of the caller. The minute begins with the first action that is counted.

    Administrators and services are not counted. caller: a chassis.tokens.Identity. per_minute: None
    for no limit. Raises TooManyRequests until the minute has passed.
    """
    if per_minute is None or caller.user_id is None or caller.is_admin:
        return
    counted = tx.value(
        """
        INSERT INTO request_counts AS known (action, user_id)
        VALUES (%(action)s, %(user_id)s)
            ON CONFLICT (action, user_id) DO UPDATE
           SET used = CASE WHEN known.began_at > now() - interval '1 minute'
                           THEN known.used + 1 ELSE 1 END,
               began_at = CASE WHEN known.began_at > now() - interval '1 minute'
                               THEN known.began_at ELSE now() END
         WHERE known.used < %(per_minute)s
            OR known.began_at <= now() - interval '1 minute'
        RETURNING used
        """,
        action=action,
        user_id=caller.user_id,
        per_minute=per_minute,
    )
    if counted is None:
        refusal = TooManyRequests(f"At most {per_minute} {action} a minute")
        refusal.pause_seconds = _seconds_left(tx, action, caller.user_id)
        raise refusal


def _seconds_left(tx, action, user_id):
    left = tx.value(
        """
        SELECT extract(epoch FROM began_at + interval '1 minute' - now())::float8
          FROM request_counts
         WHERE action = %(action)s
           AND user_id = %(user_id)s
        """,
        action=action,
        user_id=user_id,
    )
    return left or 0
