"""Stored text: rows from before the rules of `chassis.text` are brought into its form.

A service lists its columns in `TEXTS` of its `database.py`. Nothing is deleted and nothing is
guessed: a row that no rule accepts, or that would equal another one, stays and is reported.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from chassis.database import Duplicate, transaction

IDS_AT_ONCE = 1_000  # in one statement, so that none runs into its limit

# What may need a change; all other text is in its form: ASCII from the space on, nothing around it.
# Quotes and brackets are for addresses that a mail server can no longer be given.
_SUSPICIOUS = r"""[^ -~]|^[ ."-]|[] ]$|^$"""


@dataclass(frozen=True, slots=True)
class Texts:
    """The columns of a table that hold text. All names are SQL of the author's.

    rules: {column: a function that returns the text in its form, and raises ValueError}.
    derived: {column: (the column that it is derived from, a function of that one's text)}.
    key: the column that numbers the rows.
    """

    table: str
    rules: dict[str, Callable]
    derived: dict[str, tuple[str, Callable]] = field(default_factory=dict)
    key: str = "id"

    def read(self, tx, after):
        """Return the rows among the next IDS_AT_ONCE numbers that may need a change, as dicts."""
        columns = [self.key, *self.rules, *self.derived]
        suspicious = " OR ".join(f"{column} ~ %(suspicious)s" for column in self.rules)
        return tx.all(
            dict,
            f"""
            SELECT {", ".join(columns)}
              FROM {self.table}
             WHERE {self.key} > %(after)s
               AND {self.key} <= %(after)s + {IDS_AT_ONCE}
               AND ({suspicious})
             ORDER BY {self.key}
            """,
            after=after,
            suspicious=_SUSPICIOUS,
        )

    def last(self, tx):
        """Return the highest number of a row, 0 without rows."""
        return tx.value(f"SELECT coalesce(max({self.key}), 0) FROM {self.table}")

    def wanted(self, row, column):
        """Return {column: value} of what the row is to hold for a column and those derived of it.

        Raises ValueError.
        """
        text = self.rules[column](row[column])
        return {column: text} | {
            name: derive(text)
            for name, (source, derive) in self.derived.items()
            if source == column
        }

    def write(self, tx, row, wanted):
        """Write what is wanted, unless the row has changed since it was read. Raises Duplicate."""
        columns = list(wanted)
        changes = ", ".join(f"{column} = %(new_{column})s" for column in columns)
        unchanged = " AND ".join(
            f"{column} IS NOT DISTINCT FROM %(old_{column})s" for column in columns
        )
        return tx.run(
            f"UPDATE {self.table} SET {changes} WHERE {self.key} = %(key)s AND {unchanged}",
            key=row[self.key],
            **{f"new_{column}": value for column, value in wanted.items()},
            **{f"old_{column}": row[column] for column in columns},
        )


class _DryRun(Exception):
    """Rolls back a change that was only tried."""


def normalise(texts, dry_run):
    """Bring the rows of a table into their form. Yields (number, column, what is the matter).

    texts: a Texts. dry_run: whether to roll back each change. What is the matter is None for a
    column that was changed, or would be; else a clause that follows the name of the column.
    """
    with transaction() as tx:
        last = texts.last(tx)
    for after in range(0, last, IDS_AT_ONCE):
        with transaction() as tx:
            rows = texts.read(tx, after)
        for row in rows:
            for column in texts.rules:
                if row[column] is not None:
                    yield from _normalise(texts, row, column, dry_run)


def _normalise(texts, row, column, dry_run):
    number = row[texts.key]
    try:
        wanted = texts.wanted(row, column)
        if all(row[name] == value for name, value in wanted.items()):
            return
        with suppress(_DryRun), transaction() as tx:
            texts.write(tx, row, wanted)
            if dry_run:
                raise _DryRun
        yield number, column, None
    except ValueError as refusal:
        yield number, column, str(refusal)
    except Duplicate as duplicate:
        yield number, column, f"is taken in another spelling ({duplicate.constraint})"
