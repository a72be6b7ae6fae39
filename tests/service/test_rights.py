"""What the database lets each service do: read and write rows of its own tables, and no more."""

from contextlib import closing

import psycopg2
import pytest

from chassis import migrate, testing
from chassis.settings import owner_of, with_role

REFUSED = {
    "a view in the place of a table": "ALTER TABLE outbox RENAME TO outbox_real",
    "a view": "CREATE VIEW more AS SELECT 1",
    "a function": "CREATE FUNCTION more() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "a temporary table": "CREATE TEMPORARY TABLE outbox (id integer)",
    "a schema": "CREATE SCHEMA more",
    "a constraint": "ALTER TABLE outbox ADD CHECK (id > 0)",
    "an index": "CREATE INDEX more ON outbox (id)",
    "a trigger": "CREATE TRIGGER more AFTER INSERT ON outbox EXECUTE FUNCTION notify_outbox()",
    "a rule": "CREATE RULE more AS ON INSERT TO outbox DO NOTHING",
    "a policy": "CREATE POLICY more ON outbox",
    "a reference": "ALTER TABLE inbox ADD more bigint REFERENCES outbox",
    "an extension": "CREATE EXTENSION pgcrypto",
    "truncating": "TRUNCATE outbox",
    "forgetting a migration": "DELETE FROM schema_migrations",
    "triggers switched off": "ALTER TABLE audit_entries DISABLE TRIGGER ALL",
    "forgetting an entry": "DELETE FROM audit_entries",
    "changing an entry": "UPDATE audit_entries SET actor = 'user:2'",
    "the owner's rights": "SET ROLE {owner}",
    "a superuser's rights": "SET SESSION AUTHORIZATION postgres",
    "a program": "COPY (SELECT 1) TO PROGRAM 'true'",
    "a file": "COPY outbox FROM '/etc/passwd'",
}


@pytest.fixture
def as_itself(name, own_url):
    """Returns a function: the rows of a statement by the service's own role."""
    return lambda sql: testing.query(own_url(name), sql)


@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED)
def test_a_service_may_change_nothing_but_rows(name, as_itself, statement):
    refused = pytest.raises(
        psycopg2.errors.InsufficientPrivilege, match="permission denied|must be"
    )
    with refused:  # the trigger of the audit log says something else
        as_itself(statement.format(owner=owner_of(name)))


def test_a_service_owns_nothing(name, as_itself):
    owned = "SELECT classid::regclass, objid FROM pg_shdepend WHERE refobjid = '{}'::regrole"

    assert as_itself(f"{owned.format(name)} AND deptype = 'o'") == []


def test_tables_belong_to_an_owner_that_is_no_superuser(name, as_itself):
    owners = """
        SELECT DISTINCT rolname, rolsuper
          FROM pg_class JOIN pg_roles ON relowner = pg_roles.oid
         WHERE relnamespace = 'public'::regnamespace
    """

    assert as_itself(owners) == [(owner_of(name), False)]


def test_rights_that_are_missing_or_too_many_are_seen_and_mended(name, databases):
    url = databases(name)
    testing.query(
        url,
        f"""
        REVOKE INSERT ON outbox FROM {name};
        GRANT DELETE, TRUNCATE ON audit_entries TO {name}
        """,
    )
    with closing(psycopg2.connect(with_role(url, owner_of(name)))) as connection:
        said = []

        migrate.migrate_service(connection, name, say=said.append)

        assert said == [f"{name} has its rights on {t}" for t in ("audit_entries", "outbox")]
        assert migrate.migrate_service(connection, name) == []


def test_a_new_table_can_be_used_from_its_first_moment(name, databases, as_itself):
    owner = with_role(databases(name), owner_of(name))
    testing.query(owner, "CREATE TABLE newer (id bigint GENERATED ALWAYS AS IDENTITY, at text)")
    try:
        as_itself("INSERT INTO newer (at) VALUES ('now')")

        assert as_itself("UPDATE newer SET at = 'later' RETURNING id") == [(1,)]
    finally:
        testing.query(owner, "DROP TABLE newer")


def test_rows_of_a_partition_are_reached_through_the_whole_table_alone(name, databases, as_itself):
    owner = with_role(databases(name), owner_of(name))
    testing.query(
        owner,
        """
        CREATE TABLE parted (id bigint) PARTITION BY RANGE (id);
        CREATE TABLE parted_one PARTITION OF parted FOR VALUES FROM (0) TO (10)
        """,
    )
    try:
        with closing(psycopg2.connect(owner)) as connection:
            migrate.migrate_service(connection, name, say=lambda _line: None)
        as_itself("INSERT INTO parted VALUES (1)")

        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            as_itself("DELETE FROM parted_one")
    finally:
        testing.query(owner, "DROP TABLE parted")
