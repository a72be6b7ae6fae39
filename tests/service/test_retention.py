"""What each service keeps for a while only, and the command that deletes what is older."""

import importlib

import psycopg2
import pytest

from chassis import prune, testing
from chassis.settings import owner_of, with_role

AGED = """
    INSERT INTO idempotency_keys (scope, fingerprint, resource_id, created_at)
    SELECT sha256(n::text::bytea), '', n, now() - interval '25 hours'
      FROM generate_series(1, 2500) AS n;
    INSERT INTO idempotency_keys (scope, fingerprint, resource_id) VALUES ('new', '', 1);
    INSERT INTO inbox
    VALUES ('old', now() - interval '31 days'), ('young', now() - interval '29 days');
    INSERT INTO audit_entries (at, actor, action, subject, request_id)
    VALUES (now() - interval '25 months', 'user:1', 'a', 'b', 'c'),
           (now() - interval '23 months', 'user:1', 'a', 'b', 'c');
"""


@pytest.fixture
def command(commands_of, name):
    """Returns a function: the service's `prune`, with its output."""
    return commands_of(importlib.import_module(f"{name}.prune"))


@pytest.fixture
def owner_command(commands_of, name):
    """Returns a function: the command that prunes the audit log, as its owner."""
    return commands_of(prune, of=name)


@pytest.fixture
def as_owner(name, databases):
    """Returns a function: the rows that a statement of the owner of the tables finds."""
    url = with_role(databases(name), owner_of(name))
    return lambda sql: testing.query(url, sql)


@pytest.fixture
def counts(rows):
    """Returns a function: how many rows each of these tables has."""

    def counts():
        tables = ("idempotency_keys", "inbox", "audit_entries")
        return tuple(rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables)

    return counts


def test_a_prune_deletes_what_is_older_than_it_is_kept_and_nothing_else(rows, counts, command):
    rows(AGED)

    code, dry, _ = command("--dry-run")
    assert (code, counts()) == (0, (2501, 2, 2))
    assert "2,500 due" in dry

    code, said, _ = command()
    assert (code, counts()) == (0, (1, 1, 2))
    assert "2,500 pruned" in said

    assert "2,500" not in command()[1]
    assert counts() == (1, 1, 2)


def test_the_worker_applies_the_same_rules(rows, counts, service, name):
    rows(AGED)

    with service.active():
        importlib.import_module(f"{name}.logic.retention").clean_up()

    assert counts() == (1, 1, 2)


def test_the_audit_log_is_pruned_by_its_owner_if_a_setting_says_so(
    rows, counts, owner_command, name, monkeypatch
):
    rows(AGED)
    assert "kept for ever" in owner_command(name)[1]
    assert counts()[2] == 2

    monkeypatch.setenv("AUDIT_KEPT_MONTHS", "24")
    assert "1 due" in owner_command("--dry-run", name)[1]
    assert counts()[2] == 2
    assert "1 pruned" in owner_command(name)[1]
    assert counts()[2] == 1


def test_no_setting_prunes_young_audit_entries(
    rows, as_owner, counts, name, owner_command, monkeypatch
):
    rows(AGED)
    monkeypatch.setenv("AUDIT_KEPT_MONTHS", "23")
    code, _, complaint = owner_command(name)
    assert code == 1
    assert "AUDIT_KEPT_MONTHS" in complaint
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="append-only for 24 months"):
        as_owner("DELETE FROM audit_entries")
    assert counts()[2] == 2
