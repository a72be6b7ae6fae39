import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest

from chassis import testing
from chassis.migrate import Migration, MigrationError, migrate, missing_migrations

FIRST = Migration("test/0001_first.sql", "CREATE TABLE first (id integer)")
INDEX = Migration(
    "test/0002_index.sql",
    """-- for the list of a day
    CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS first_by_id ON first (id);
    """,
)
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


def indexes(connection):
    """Of the table `first`: their names, and whether they are used."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT indexrelid::regclass::text, indisvalid
              FROM pg_index
             WHERE indrelid = 'first'::regclass
            """
        )
        return cursor.fetchall()


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


@pytest.mark.parametrize("migration", [FIRST, INDEX], ids=["table", "index"])
def test_two_at_once_apply_it_once(empty, migration):
    if migration is INDEX:
        silently(empty(), FIRST)
    with ThreadPoolExecutor() as pool:
        applied = [
            *pool.map(lambda connection: silently(connection, migration), [empty(), empty()])
        ]

    assert sorted(applied) == [[], [migration.name]]


def test_an_index_is_built_while_the_table_is_written(empty):
    writer = empty()
    silently(empty(), FIRST)
    with writer.cursor() as cursor:
        cursor.execute("INSERT INTO first VALUES (1)")
    builder = threading.Thread(target=silently, args=(empty(), INDEX))
    builder.start()

    watcher = empty()
    watcher.autocommit = True
    with watcher.cursor() as cursor:
        while indexes(watcher) == []:
            time.sleep(0.01)
        cursor.execute("SET lock_timeout = '1s'; INSERT INTO first VALUES (2)")
    assert builder.is_alive()
    writer.commit()
    builder.join()

    assert indexes(watcher) == [("first_by_id", True)]
    assert silently(empty(), INDEX) == []


def test_an_index_that_could_not_be_built_is_built_when_it_can_be(empty):
    connection = empty()
    silently(connection, FIRST)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO first VALUES (1), (1)")
        with pytest.raises(MigrationError, match="could not create unique index"):
            silently(connection, INDEX)
        assert indexes(connection) == [("first_by_id", False)]

        cursor.execute("DELETE FROM first")
        assert silently(connection, INDEX) == [INDEX.name]

    assert indexes(connection) == [("first_by_id", True)]


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
