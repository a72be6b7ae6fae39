"""Migrations: plain SQL files, applied once each, in order, each in a transaction of its own.

    python -m chassis.migrate microservice2

First the chassis's own (`chassis/migrations`), then the service's (`microservice2/migrations`).
Files are called `0001_create_products.sql` and only ever add; what was applied is never edited.
"""

import argparse
import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from chassis import settings

_ROOT = Path(__file__).resolve().parent.parent
_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")
_LOCK = 0x5155_4152_5445_54  # "QUARTET": one migration at a time in one database


class MigrationError(Exception):
    """The files and the database do not fit. Nothing was changed by the file that is named."""


@dataclass(frozen=True, slots=True)
class Migration:
    name: str  # "microservice2/0001_create_products.sql"
    sql: str

    @property
    def checksum(self):
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations_of(service):
    """Return a service's migrations, the chassis's first. Raises MigrationError on a bad name."""
    found = []
    for owner in ("chassis", service):
        for file in sorted((_ROOT / owner / "migrations").glob("*.sql")):
            if not _NAME.fullmatch(file.name):
                raise MigrationError(f"{file}: name it like 0001_create_products.sql")
            found.append(Migration(f"{owner}/{file.name}", file.read_text(encoding="utf-8")))
    return found


def migrate(connection, migrations, say=print):
    """Apply what is missing. Returns the names of what was applied; raises MigrationError.

    connection: a psycopg2 connection. It is left open, outside of a transaction.
    """
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0; SET lock_timeout = '5s'")
        cursor.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        try:
            return _apply_missing(cursor, migrations, say)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


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
    cursor.execute("SELECT name, checksum FROM schema_migrations")
    applied = dict(cursor.fetchall())
    for migration in migrations:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise MigrationError(
                f"{migration.name} was edited after it had been applied: put it back, add a new one"
            )
    missing = [migration for migration in migrations if migration.name not in applied]
    for migration in missing:
        _apply(cursor, migration)
        say(f"applied {migration.name}")
    return [migration.name for migration in missing]


def _apply(cursor, migration):
    cursor.execute("BEGIN")
    try:
        cursor.execute(migration.sql)
        cursor.execute(
            "INSERT INTO schema_migrations (name, checksum) VALUES (%s, %s)",
            (migration.name, migration.checksum),
        )
        cursor.execute("COMMIT")
    except psycopg2.Error as error:
        cursor.execute("ROLLBACK")
        raise MigrationError(f"{migration.name}: {error}") from error


def main():
    parser = argparse.ArgumentParser(prog="chassis.migrate", description=__doc__.partition("\n")[0])
    parser.add_argument("service", choices=settings.SERVICES)
    service = parser.parse_args().service
    try:
        loaded = settings.load(service)
        password = {"password": loaded.database_password} if loaded.database_password else {}
        connection = psycopg2.connect(loaded.database_url, **password)
        try:
            done = migrate(connection, migrations_of(service))
        finally:
            connection.close()
    except (MigrationError, settings.SettingsError, psycopg2.Error) as error:
        sys.exit(f"migrate: {error}")
    if not done:
        print(f"{service}: nothing to apply")


if __name__ == "__main__":
    main()
