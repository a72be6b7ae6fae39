"""Releases come and go under a steady load, and nobody is refused."""

import subprocess
import time

import pytest

from tests.host.asking import rows

CATALOGUE = "microservice2/logic/catalogue.py"
GOOD = "def list_products("
BAD = "def list_products(*_):\n    1 / 0\n\n\ndef old_("
INDEX = "CREATE INDEX CONCURRENTLY IF NOT EXISTS products_by_colour ON products (colour);"
MANY_PRODUCTS = """
INSERT INTO products (sku, name, description, category, price, stock)
SELECT 'bulk-' || n, 'Bulk', repeat(md5(n::text), 8), 'Bulk', 1, 0
  FROM generate_series(1, 20000) AS n
"""
SEARCH = """
import contextlib, urllib.request
while True:
    with contextlib.suppress(OSError):
        words = "+".join("ab cd ef 01 23 45 67 89".split())
        urllib.request.urlopen(f"http://127.0.0.1/api/service2/products?q={words}").read()
"""
GONE_SECONDS = 10  # for a release that turns bad, from its first error to its last
# `kill 0` ends all of the process group
KILL_A_DEPLOYMENT = """
scripts/deploy --watch 60 microservice2 &
until scripts/releases microservice2 | grep "not finished"; do sleep 0.2; done
kill -KILL 0
"""


def fates_of(host, service):
    """Return the line of scripts/releases for each commit, by its first ten digits."""
    lines = host.output("scripts/releases", service).splitlines()[1:]
    return {line.split()[1].rpartition("-")[2]: line for line in lines}


@pytest.mark.brief
def test_a_good_release_takes_over(host, under_load, a_release, release_of):
    commit = a_release("microservice2/__init__.py", '"""', '"""Newer. ')

    with under_load() as load:
        host.run("scripts/deploy", "--watch", "5", "microservice2")

    assert release_of("microservice2").endswith(commit[:10])
    fates = fates_of(host, "microservice2")
    assert "current" in fates[commit[:10]]
    assert "deployed" in fates[commit[:10]]
    assert fates[commit[:10]].endswith("change microservice2/__init__.py")
    load.assert_nobody_was_refused()


def test_rolling_back_loses_nothing_either(host, under_load, a_release, release_of):
    before = release_of("microservice2")
    a_release("microservice2/__init__.py", '"""', '"""Newest. ')
    host.run("scripts/deploy", "--watch", "1", "microservice2")
    assert release_of("microservice2") != before

    with under_load() as load:
        host.run("scripts/rollback", "microservice2")

    assert release_of("microservice2") == before
    load.assert_nobody_was_refused()


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("microservice2/app.py", '"""', 'import nothing_of_that_name\n"""', "No module named"),
        ("microservice2/worker.py", '"""', 'import nothing_of_that_name\n"""', "No module named"),
        ("microservice2/migrations/9999_fail.sql", "", "SELECT 1 / 0;", "division by zero"),
        ("microservice2/migrations/0003_create_sales.sql", "CREATE", "--\nCREATE", "was edited"),
        ("requirements/microservice2.txt", "sha256:", "sha256:0", "hash"),
        ("chassis/health.py", 'return {"status": "live"}', "return 1 / 0", "was answered 500"),
        ("chassis/health.py", "if not _database_answers()", "if True", "was answered 503"),
    ],
    ids=[
        "does not import",
        "worker does not import",
        "fails to migrate",
        "edits a migration",
        "does not build",
        "answers badly",
        "is never ready",
    ],
)
def test_a_bad_release_never_takes_a_request(
    host, under_load, a_release, release_of, file, old, new, said
):
    before = release_of("microservice2")
    a_release(file, old, new)

    with under_load() as load:
        answer = host.run("scripts/deploy", "microservice2", check=False)

    assert answer.returncode == 1
    assert said in answer.stdout
    assert release_of("microservice2") == before
    load.assert_nobody_was_refused()


def test_a_migration_comes_after_a_backup_and_the_release_before_runs_on_it(
    host, under_load, a_release
):
    dumps = ("sh", "-c", "ls /var/backups/quartet/dumps | grep -c 'microservice2.*age$' || true")
    before = int(host.output(*dumps))
    migration = "microservice2/migrations/9998_add_colour.sql"
    a_release(migration, "", "ALTER TABLE products ADD COLUMN colour text;")
    a_release("microservice2/migrations/9999_index_colour.sql", "", INDEX)

    with under_load() as load:
        host.run("scripts/deploy", "--watch", "1", "microservice2")
        assert f"applied  {migration.replace('/migrations', '')}" in host.output(
            "scripts/migrate", "--status", "microservice2"
        )
        host.run("scripts/rollback", "microservice2")

    assert int(host.output(*dumps)) == before + 1
    assert rows(host, "microservice2", "SELECT count(colour) FROM products") == "0"
    index = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'products_by_colour'::regclass"
    assert rows(host, "microservice2", index) == "t"
    load.assert_nobody_was_refused()


@pytest.mark.brief
def test_one_that_turns_bad_is_rolled_back(host, under_load, a_release, release_of):
    before = release_of("microservice2")
    commit = a_release(CATALOGUE, GOOD, BAD)

    with under_load() as load:
        answer = host.run("scripts/deploy", "microservice2", check=False)

    assert answer.returncode == 1
    assert "thrown back" in fates_of(host, "microservice2")[commit[:10]]
    assert "answers were failures" in answer.stdout
    assert release_of("microservice2") == before
    outcomes = {outcome for _, outcome, _ in load.failures}
    assert outcomes == {500} or (outcomes == {500, 503} and not load.is_undisturbed)
    assert load.failing_seconds < GONE_SECONDS


def test_a_failing_service_can_be_mended(host, under_load, a_release, release_of):
    before = release_of("microservice2")
    a_release(CATALOGUE, GOOD, BAD)
    host.run("scripts/deploy", "--watch", "0", "microservice2")
    assert release_of("microservice2") != before
    mended = a_release(CATALOGUE, BAD, GOOD)

    with under_load():
        time.sleep(2)
        answer = host.run("scripts/deploy", "--watch", "5", "microservice2")

    assert "is failing" in answer.stdout
    assert release_of("microservice2").endswith(mended[:10])


def test_overload_by_outsiders_does_not_veto_a_release(host, a_release, release_of):
    """Refusals of an overloaded service are no failures, whoever causes them."""
    commit = a_release("microservice2/__init__.py", '"""', '"""Mends the abuse. ')
    rows(host, "microservice2", MANY_PRODUCTS)
    outsiders = [subprocess.Popen(host.command("python3", "-c", SEARCH)) for _ in range(6)]
    try:
        host.run("scripts/deploy", "--watch", "10", "microservice2")
    finally:
        for outsider in outsiders:
            outsider.kill()
        rows(host, "microservice2", "DELETE FROM products WHERE category = 'Bulk'")

    assert release_of("microservice2").endswith(commit[:10])
    host.run("scripts/rollback", "microservice2")


def test_a_release_can_be_forced(host, under_load, a_release, release_of):
    before = release_of("microservice2")
    commit = a_release(CATALOGUE, GOOD, BAD)

    with under_load():
        answer = host.run("scripts/deploy", "--force", "microservice2")

    assert "answers are not watched (--force)" in answer.stdout
    assert release_of("microservice2").endswith(commit[:10])
    host.run("scripts/rollback", "microservice2")
    assert release_of("microservice2") == before


def test_a_deployment_that_was_killed_is_finished_by_the_next(host, a_release, release_of):
    before = release_of("microservice2")
    commit = a_release("microservice2/__init__.py", '"""', '"""Newest of all. ')
    host.run("setsid", "--wait", "timeout", "120", "sh", "-c", KILL_A_DEPLOYMENT, check=False)

    assert "not finished" in host.output("scripts/releases", "microservice2")
    host.run("scripts/deploy", "--watch", "1", "microservice2")

    assert release_of("microservice2").endswith(commit[:10])
    assert "not finished" not in host.output("scripts/releases", "microservice2")
    host.run("scripts/rollback", "microservice2")
    assert release_of("microservice2") == before


def test_scaling_loses_nothing(host, under_load):
    with under_load() as load:
        host.run("scripts/scale", "microservice2", "--processes", "3")

    master = host.output("systemctl", "show", "-P", "MainPID", "microservice@microservice2")
    assert len(host.output("pgrep", "-P", master).split()) == 3 + 1  # one is for internal calls
    host.run("scripts/scale", "microservice2", "--processes", "2")
    load.assert_nobody_was_refused()


@pytest.mark.parametrize(
    "command",
    [
        ("scripts/restart", "microservice2"),
        ("systemctl", "reload", "nginx"),
    ],
    ids=["restart", "nginx reload"],
)
def test_nobody_is_refused_meanwhile(host, under_load, command):
    with under_load() as load:
        host.run(*command)

    load.assert_nobody_was_refused()
