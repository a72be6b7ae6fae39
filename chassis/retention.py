"""Retention: how long rows are kept, and the deletion of those that are kept no longer.

A service lists its rules in `logic/retention.py`; the worker applies them each hour, and
`scripts/prune` at any time. `docs/retention.md` has the table of all rules with their reasons.

    RULES = (inbox.RETENTION, Rule("expired sessions", database.SESSIONS, always("0 days")))
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from chassis.database import transaction

AT_ONCE = 1000  # rows in one transaction, so that no statement runs into its limit
_PROGRESS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a table that satisfy a condition, by age. All fields are SQL of the author's.

    moment: the column that the age is counted from; an index must lead to the oldest rows.
    """

    table: str
    moment: str
    condition: str = "true"

    def count_due(self, tx, kept):
        """Return how many rows are older than `kept`, a PostgreSQL interval."""
        return tx.value(f"SELECT count(*) FROM {self.table} WHERE {self._due()}", kept=kept)

    def delete_due(self, tx, kept):
        """Delete up to AT_ONCE of the rows older than `kept`. Returns how many, 0 at the end.

        The rows are chosen once, as an array. Without statistics, as after a sudden growth, the
        planner would choose them again for each row of the table in `IN (SELECT ... LIMIT ...)`.
        """
        return tx.run(
            f"""
            DELETE FROM {self.table}
             WHERE ctid = ANY(ARRAY(
                       SELECT ctid
                         FROM {self.table}
                        WHERE {self._due()}
                        ORDER BY {self.moment}
                        LIMIT %(limit)s
                          FOR UPDATE SKIP LOCKED
                   ))
            """,
            kept=kept,
            limit=AT_ONCE,
        )

    def _due(self):
        return f"({self.condition}) AND {self.moment} < now() - %(kept)s::interval"


@dataclass(frozen=True, slots=True)
class Rule:
    """How long some rows are kept.

    name: a plural for operators. rows: Rows, or anything with its two methods. kept: a function
    that returns a PostgreSQL interval such as "30 days", or None to keep them for ever.
    """

    name: str
    rows: object
    kept: Callable[[], str | None]


def always(interval):
    """Return the `kept` of a Rule that no setting changes."""
    return lambda: interval


def prune(rules, report=lambda rule, kept, pruned: None):
    """Delete what the rules no longer keep, in many transactions.

    report(rule, kept, pruned) is called after each rule, and each second before.
    Raises DatabaseUnavailable; what is deleted by then stays deleted, and a second call goes on.
    """
    for rule in rules:
        kept, pruned = rule.kept(), 0
        reported = time.monotonic()
        while kept and (deleted := _delete_due(rule, kept)):
            pruned += deleted
            if time.monotonic() - reported > _PROGRESS_SECONDS:
                report(rule, kept, pruned)
                reported = time.monotonic()
        report(rule, kept, pruned)


def due(rules):
    """Yield (rule, kept, how many rows are due) for each rule, and change nothing."""
    for rule in rules:
        kept = rule.kept()
        with transaction() as tx:
            yield rule, kept, rule.rows.count_due(tx, kept) if kept else 0


def _delete_due(rule, kept):
    with transaction() as tx:
        return rule.rows.delete_due(tx, kept)
