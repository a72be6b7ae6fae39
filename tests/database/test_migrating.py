import threading

import psycopg2
import pytest

from chassis import testing
from chassis.migrate import Migration, MigrationError, migrate, missing_migrations

FIRST = Migration("test/0001_first.sql", "CREATE TABLE first (id integer)")
SECOND = Migration("test/0002_second.sql", "CREATE TABLE second (id integer); SELECT 1 / 0")


@pytest.fixture
def empty(postgres):
    """Returns a function that connects to a database without anything in it."""
    url = postgres("migrating")
    testing.execute(
        postgres("postgres"),
        "DROP DATABASE IF EXISTS migrating WITH (FORCE)",
        "CREATE DATABASE migrating",
    )
    opened = []

    def connect():
        opened.append(psycopg2.connect(url))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


def silently(connection, *migrations):
    return migrate(connection, migrations, say=lambda _line: None)


def test_what_is_missing_is_applied_once(empty):
    assert silently(empty(), FIRST) == [FIRST.name]
    assert silently(empty(), FIRST) == []


def test_a_migration_that_fails_leaves_nothing_of_itself_behind(empty):
    with pytest.raises(MigrationError, match="0002_second"):
        silently(empty(), FIRST, SECOND)

    with empty() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('first') IS NOT NULL, to_regclass('second') IS NOT NULL")
        assert cursor.fetchone() == (True, False)


def test_an_edited_migration_is_refused(empty):
    silently(empty(), FIRST)

    with pytest.raises(MigrationError, match="edited"):
        silently(empty(), Migration(FIRST.name, "CREATE TABLE other (id integer)"))


def test_two_at_once_apply_it_once(empty):
    applied, connections = [], [empty(), empty()]
    threads = [
        threading.Thread(target=lambda c=connection: applied.extend(silently(c, FIRST)))
        for connection in connections
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert applied == [FIRST.name]


def test_it_waits_for_a_lock_again_and_again(empty):
    holder, connection, said = empty(), empty(), []
    silently(connection, FIRST)
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE first")
    third = Migration("test/0003_third.sql", "ALTER TABLE first ADD COLUMN name text")

    def let_go_when_it_waits(line):
        said.append(line)
        holder.rollback()

    assert migrate(connection, [FIRST, third], say=let_go_when_it_waits) == [third.name]
    assert said == [f"{third.name} waits for a lock", f"applied {third.name}"]


def test_a_lock_that_is_never_given_ends_it_cleanly(empty, monkeypatch):
    monkeypatch.setattr("chassis.migrate.LOCK_TRIES", 2)
    holder, connection = empty(), empty()
    silently(connection, FIRST)
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE first")

    with pytest.raises(MigrationError, match="somebody holds a lock"):
        silently(connection, FIRST, Migration("test/0003_third.sql", "DROP TABLE first"))


def test_what_is_missing_can_be_seen_without_changing_anything(empty):
    assert missing_migrations(empty(), [FIRST]) == [FIRST]

    silently(empty(), FIRST)

    assert missing_migrations(empty(), [FIRST, SECOND]) == [SECOND]
