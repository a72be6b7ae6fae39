import threading

import psycopg2
import pytest

from chassis import testing
from chassis.migrate import Migration, MigrationError, migrate

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
