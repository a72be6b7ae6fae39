"""A host compares what its services promise in a database that it makes and drops silently."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.system.running import PROJECT, run

# the functions of a host, on a cluster that everybody may enter
SOURCES = f"""
source {PROJECT}/scripts/lib/common.sh
source {PROJECT}/scripts/lib/host_postgres.sh
as_postgres() {{ "$@"; }}
postgres_port() {{ echo 5432; }}
"""


@pytest.fixture
def folder(postgres):
    return parse_qs(urlsplit(postgres("postgres")).query)["host"][0]


def test_a_database_that_is_not_there_is_dropped_without_a_word(folder):
    answer = run("bash", "-c", f"{SOURCES} CLUSTER={folder} forget_promises")

    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
