"""An upgrade of the system changes ICU: it is noticed, and the runbook's statements end it."""

import re
import subprocess
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from chassis.collations import count_outdated
from chassis.database import transaction
from chassis.settings import owner_of, with_role

RUNBOOK = Path(__file__).resolve().parent.parent.parent / "docs" / "runbook.md"


@pytest.fixture
def another_icu(databases):
    """Let the indexes be those of another version of ICU."""
    with (
        closing(psycopg2.connect(databases("microservice2"))) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SET LOCAL allow_system_table_mods = on")
        cursor.execute("UPDATE pg_collation SET collversion = '1' WHERE collname = 'names'")


def warnings_of(url):
    """What PostgreSQL says when names are sorted on a new connection."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT name FROM products ORDER BY name COLLATE names")
        return [notice for notice in connection.notices if "version mismatch" in notice]


def test_the_runbook_builds_indexes_anew_and_notes_the_version(
    service, rows, another_icu, databases
):
    index = "SELECT pg_relation_filenode('products_name_by_language')"
    (before,) = rows(index)
    url = with_role(databases("microservice2"), owner_of("microservice2"))
    with transaction() as tx:
        assert count_outdated(tx) == 1
    assert warnings_of(url)

    (statements,) = re.findall(r"<<'SQL'\n(REINDEX.*?)\nSQL\n", RUNBOOK.read_text(), re.DOTALL)
    program = ["psql", url, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
    done = subprocess.run(program, input=statements, text=True, capture_output=True)

    assert done.returncode == 0, done.stderr
    assert rows(index) != [before]
    with transaction() as tx:
        assert count_outdated(tx) == 0
    assert not warnings_of(url)
