"""A service's database goes back to a moment, and what the services then disagree about."""

import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import psycopg2.extensions

from chassis import testing
from chassis.settings import SERVICES

PROMISES = Path(__file__).resolve().parents[1] / "scripts/lib/promises.sql"
FORGOTTEN = 1_000_000  # ids and versions that are left out, as in scripts/lib/restoring.sh

_REMEMBER = """
    DO $$
    DECLARE
        name text;
    BEGIN
        DROP SCHEMA IF EXISTS kept CASCADE;
        CREATE SCHEMA kept;
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
            EXECUTE 'CREATE TABLE kept.' || name || ' AS TABLE public.' || name;
        END LOOP;
    END $$
"""
_RESTORE = """
    DO $$
    DECLARE
        name text;
    BEGIN
        SET LOCAL session_replication_role = replica;  -- neither foreign keys nor triggers
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'kept' LOOP
            EXECUTE 'DELETE FROM public.' || name;
            EXECUTE 'INSERT INTO public.' || name || ' OVERRIDING SYSTEM VALUE TABLE kept.' || name;
        END LOOP;
        DROP SCHEMA kept CASCADE;
    END $$
"""
_SKIP_IDS = """
    SELECT setval(seqrelid::regclass, coalesce(pg_sequence_last_value(seqrelid), 0) + %(by)s)
      FROM pg_sequence
"""
_TABLES = """
CREATE SERVER {0} FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{1}', dbname '{0}');
CREATE USER MAPPING FOR CURRENT_USER SERVER {0}
    OPTIONS (user 'postgres', password_required 'false');
CREATE SCHEMA {0};
IMPORT FOREIGN SCHEMA public FROM SERVER {0} INTO {0} OPTIONS (import_generated 'false');
"""


def remember(url):
    """Remember all rows of a database, and return a function that restores them.

    url: a superuser's.
    """

    def restore():
        with _unhurried():
            testing.query(url, _RESTORE)

    with _unhurried():
        testing.query(url, _REMEMBER)
    return restore


def skip_ids(url):
    """Leave a million numbers out, as scripts/restore does."""
    testing.query(url, _SKIP_IDS, by=FORGOTTEN)


def broken_promises(postgres):
    """Return the lines that `broken_promises` of the scripts prints. postgres: the fixture."""
    with _unhurried():
        testing.execute(
            postgres("postgres"),
            "DROP DATABASE IF EXISTS promises WITH (FORCE)",
            "CREATE DATABASE promises TEMPLATE template0",
        )
    url = postgres("promises")
    (folder,) = testing.query(url, "SELECT current_setting('unix_socket_directories')")[0]
    sql = "SET client_min_messages = warning; CREATE EXTENSION postgres_fdw;"
    sql += "".join(_TABLES.format(name, folder) for name in SERVICES)
    command = [
        shutil.which("psql"),
        "--no-psqlrc",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        "--tuples-only",
        "--no-align",
        "--field-separator= ",
        "--pset=null=-",
        url,
    ]
    answer = subprocess.run(
        command, input=sql + PROMISES.read_text(), capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.splitlines()


@contextmanager
def _unhurried():
    """Let statements take longer than those of a service may."""
    callback = psycopg2.extensions.get_wait_callback()
    psycopg2.extensions.set_wait_callback(None)
    try:
        yield
    finally:
        psycopg2.extensions.set_wait_callback(callback)
