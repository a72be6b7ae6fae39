"""Migrations: plain SQL files, applied once each, in order, each in a transaction of its own.

    python -m chassis.migrate microservice2 [--status]

They run as the owner of the tables (see `chassis.rights`), whose password is in the file that
DATABASE_OWNER_PASSWORD_FILE names; --status asks as the service itself.

First the chassis's own (`chassis/migrations`), then the service's (`microservice2/migrations`).
Files are called `0001_create_products.sql` and only ever add; what was applied is never edited.

The service goes on meanwhile. Whoever waits for a lock holds up all who come after, so a migration
waits a moment only, lets them by, and tries again. An index for a table that is in use is built by
one `CREATE INDEX CONCURRENTLY IF NOT EXISTS`, alone in its file, outside of a transaction.
"""

import argparse
import hashlib
import random
import re
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import psycopg2.errors

from chassis import rights, settings

_ROOT = Path(__file__).resolve().parent.parent
_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")
_LOCK = 0x5155_4152_5445_54  # "QUARTET": one migration at a time in one database
_INDEX = re.compile(
    r"CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)\s+ON\s[^;]+;?",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"--.*")
_TURN_SECONDS = 0.1  # between two looks whether it is our turn
LOCK_TIMEOUT_SECONDS = 0.3  # less than what the services wait for a lock themselves
LOCK_TRIES = 60
LONGEST_PAUSE_SECONDS = 1.0


class MigrationError(Exception):
    """The files and the database do not fit. Nothing was changed by the file that is named."""


@dataclass(frozen=True, slots=True)
class Migration:
    name: str  # "microservice2/0001_create_products.sql"
    sql: str

    @property
    def checksum(self):
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def index(self):
        """The name of the index that it builds while its table is written, or None."""
        statement = _INDEX.fullmatch(_COMMENT.sub("", self.sql).strip())
        return statement and statement[1]


def migrations_of(service):
    """Return a service's migrations, the chassis's first. Raises MigrationError on a bad name."""
    found = []
    for owner in ("chassis", service):
        for file in sorted((_ROOT / owner / "migrations").glob("*.sql")):
            if not _NAME.fullmatch(file.name):
                raise MigrationError(f"{file}: name it like 0001_create_products.sql")
            found.append(Migration(f"{owner}/{file.name}", file.read_text(encoding="utf-8")))
    return found


def migrate_service(connection, service, say=print):
    """Apply what a service misses, and give it its rights. Returns the names of what was done.

    connection: a psycopg2 connection of the tables' owner. Raises MigrationError.
    """
    with _alone(connection) as cursor:
        rights.grant_beforehand(cursor, service)
        applied = _apply_missing(cursor, migrations_of(service), say)
        changed = rights.grant_exactly(cursor, service)
    for table in changed:
        say(f"{service} has its rights on {table}")
    return applied + changed


def migrate(connection, migrations, say=print):
    """Apply what is missing. Returns the names of what was applied; raises MigrationError.

    connection: a psycopg2 connection. It is left open, outside of a transaction.
    """
    with _alone(connection) as cursor:
        return _apply_missing(cursor, migrations, say)


@contextmanager
def _alone(connection):
    """Keep other migrations of this database waiting. Yields a cursor, each statement committed."""
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        _await_turn(cursor)
        try:
            yield cursor
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def _await_turn(cursor):
    """Asks again and again: one that waits in PostgreSQL is in a transaction, for whose end an
    index that is being built waits in turn."""
    while True:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,))
        if cursor.fetchone()[0]:
            return
        time.sleep(_TURN_SECONDS)


def _apply_missing(cursor, migrations, say):
    cursor.execute(
        """
        CREATE TABLE IF NOT EXISTS schema_migrations (
            name       text PRIMARY KEY,
            checksum   text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    missing = _missing(cursor, migrations)
    for migration in missing:
        if migration.index:
            _build_index(cursor, migration)
        else:
            _apply_patiently(cursor, migration, say)
        say(f"applied {migration.name}")
    return [migration.name for migration in missing]


def missing_migrations(connection, migrations):
    """Return those that were not applied, and change nothing. Raises MigrationError.

    connection: a psycopg2 connection. It is left open, outside of a transaction.
    """
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('schema_migrations') IS NULL")
        if cursor.fetchone()[0]:
            return list(migrations)
        return _missing(cursor, migrations)


def _missing(cursor, migrations):
    cursor.execute("SELECT name, checksum FROM schema_migrations")
    applied = dict(cursor.fetchall())
    for migration in migrations:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise MigrationError(
                f"{migration.name} was edited after it had been applied: put it back, add a new one"
            )
    return [migration for migration in migrations if migration.name not in applied]


def _build_index(cursor, migration):
    """It waits as long as it takes for those who are writing: nobody queues up behind it.

    What an attempt that was interrupted has left is never used, but kept up to date: it goes first.
    """
    try:
        cursor.execute("SET lock_timeout = 0")
        cursor.execute(
            "SELECT FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid",
            (migration.index,),
        )
        if cursor.rowcount:
            cursor.execute(f"DROP INDEX CONCURRENTLY {migration.index}")
        cursor.execute(migration.sql)
        _record(cursor, migration)
    except psycopg2.Error as error:
        raise MigrationError(f"{migration.name}: {error}") from error


def _apply_patiently(cursor, migration, say):
    cursor.execute("SET lock_timeout = %s", (f"{LOCK_TIMEOUT_SECONDS}s",))
    for _ in range(LOCK_TRIES):
        try:
            return _apply(cursor, migration)
        except psycopg2.errors.LockNotAvailable:
            say(f"{migration.name} waits for a lock")
            time.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))  # noqa: S311 - not for secrets
    raise MigrationError(f"{migration.name}: somebody holds a lock that it needs; see pg_locks")


def _apply(cursor, migration):
    """Apply one, or nothing of it. Raises LockNotAvailable if others hold what it needs."""
    cursor.execute("BEGIN")
    try:
        cursor.execute(migration.sql)
        _record(cursor, migration)
        cursor.execute("COMMIT")
    except psycopg2.errors.LockNotAvailable:
        cursor.execute("ROLLBACK")
        raise
    except psycopg2.Error as error:
        cursor.execute("ROLLBACK")
        raise MigrationError(f"{migration.name}: {error}") from error


def _record(cursor, migration):
    cursor.execute(
        "INSERT INTO schema_migrations (name, checksum) VALUES (%s, %s)",
        (migration.name, migration.checksum),
    )


def main():
    parser = argparse.ArgumentParser(prog="chassis.migrate", description=__doc__.partition("\n")[0])
    parser.add_argument("service", choices=settings.SERVICES)
    parser.add_argument("--status", action="store_true", help="only show what is missing")
    arguments = parser.parse_args()
    act, role = (_show, settings.load) if arguments.status else (_migrate, settings.load_owner)
    try:
        connection = _connect(role(arguments.service))
        try:
            act(connection, arguments.service)
        finally:
            connection.close()
    except (MigrationError, settings.SettingsError, psycopg2.Error) as error:
        sys.exit(f"migrate: {error}")


def _connect(role):
    password = {"password": role.database_password} if role.database_password else {}
    return psycopg2.connect(role.database_url, **password)


def _migrate(connection, service):
    if not migrate_service(connection, service):
        print(f"{service}: nothing to apply")


def _show(connection, service):
    migrations = migrations_of(service)
    missing = missing_migrations(connection, migrations)
    for migration in migrations:
        print(f"{'missing' if migration in missing else 'applied'}  {migration.name}")
    with connection.cursor() as cursor:
        for table in rights.missing_rights(cursor, service):
            print(f"missing  the rights of {service} on {table}, and no others")


if __name__ == "__main__":
    main()
