"""Going back: to a second, to a backup, to a file, on a host that has lost everything."""

import re

import pytest

from tests.host.asking import BACKUPS, archive_log, back_up, moment, orders, rows, trade

TOLD = "SELECT count(*) FROM notifications"


@pytest.fixture
def gap(host):
    """Returns a function that hides what was archived since a backup, until the test has ended."""
    cluster = host.root / f"{BACKUPS}/cluster/archive".lstrip("/")

    def hide(name):
        archive_log(host)
        finished = (host.root / f"{BACKUPS}/sets/{name}/SHA256SUMS".lstrip("/")).stat().st_mtime
        for file in cluster.rglob("*-*.zst"):
            if file.stat().st_mtime > finished:
                file.rename(file.with_suffix(".hidden"))

    yield hide
    for file in cluster.rglob("*.hidden"):
        file.rename(file.with_suffix(".zst"))


def test_a_damaged_backup_is_refused_and_what_runs_goes_on(host, damaged):
    name = back_up(host)
    trade(host)
    full = name.split("_")[0]
    files = host.output("find", f"{BACKUPS}/cluster/backup/quartet/{full}/bundle", "-type", "f")
    damaged(sorted(files.splitlines())[0])

    drill = host.run("scripts/restore-drill", check=False)
    restored = host.run("scripts/restore", "--yes", name, check=False)

    assert (drill.returncode, restored.returncode) == (1, 1)
    assert "is damaged" in drill.stdout
    assert f"backup {name} is damaged" in restored.stdout
    assert "Nothing was changed" in restored.stdout
    assert trade(host)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("yesterday-or-so",), "no backup, and no time"),
        (("yesterday",), "no backup, and no time"),
        (("20261121",), "no backup, and no time"),
        (("2999-01-01 00:00:00",), "still to come"),
        (("2001-01-01 00:00:00",), "no backup that was finished by then"),
    ],
)
def test_a_moment_without_a_backup_is_refused(host, words, said):
    answer = host.run("scripts/restore", "--yes", *words, check=False)

    assert answer.returncode == 1
    assert said in answer.stdout


def test_without_a_yes_nothing_happens(host):
    back_up(host)

    answer = host.run("scripts/restore", "latest", stdin="n\n", check=False)

    assert answer.returncode == 1
    assert "nothing was changed" in answer.stdout


def test_a_dropped_database_is_back_as_it_was_the_second_before(host):
    back_up(host)
    kept = trade(host)
    then = moment(host)
    forgotten = trade(host)
    rows(host, "postgres", "DROP DATABASE microservice3 WITH (FORCE)")

    answer = host.output("scripts/restore", "--yes", then)

    assert kept in orders(host)
    assert forgotten not in orders(host)
    new = trade(host)
    assert new > forgotten + 1000
    data = re.search(r"is in (\S+)\. To give it up", answer)[1]
    assert host.run("ls", f"{data}/PG_VERSION").returncode == 0
    host.run("scripts/restore-drill")
    assert host.run("scripts/status").returncode == 0
    assert "nothing was changed" in host.output("scripts/install")
    host.run("rm", "-rf", data)


def test_a_restore_can_be_taken_back(host):
    """The log has a branch from then on, and what was on the other one is not lost."""
    first = back_up(host)
    order = trade(host)
    then = moment(host)

    host.run("scripts/restore", "--yes", first)
    assert order not in orders(host)

    host.run("scripts/restore", "--yes", then)
    assert order in orders(host)


def test_a_restore_that_was_killed_is_finished_by_the_next(host):
    back_up(host)
    order = trade(host)
    archive_log(host)
    for seconds in ("2", "5", "8", "11"):
        host.run(
            "timeout", "--signal=KILL", seconds, "scripts/restore", "--yes", "latest", check=False
        )

    host.run("scripts/restore", "--yes", "latest")

    assert order in orders(host)
    assert trade(host)
    assert host.run("scripts/status").returncode == 0
    host.run("scripts/restore-drill")


@pytest.mark.parametrize("service", [(), ("microservice4",)], ids=["all", "one"])
def test_a_moment_that_the_log_does_not_reach_is_refused_and_what_runs_goes_on(host, gap, service):
    name = back_up(host)
    order = trade(host)
    then = moment(host)
    gap(name)

    answer = host.run("scripts/restore", "--yes", then, *service, check=False)

    assert answer.returncode == 1
    assert f"does not lead to {then}" in answer.stdout
    assert order in orders(host)
    assert trade(host) == order + 1
    assert host.run("scripts/status").returncode == 0


def test_one_service_goes_back_alone(host):
    back_up(host)
    trade(host)
    then = moment(host)
    before = rows(host, "microservice4", TOLD)
    later = trade(host)

    host.run("scripts/restore", "--yes", then, "microservice4")

    assert rows(host, "microservice4", TOLD) == before
    assert later in orders(host)
    forgotten = "Notifications has no address, or another one"
    assert forgotten in host.run("scripts/restore-drill", check=False).stdout
    assert forgotten in host.output("scripts/settle")
    host.run("scripts/restore-drill")
    assert trade(host)


def test_a_service_that_forgot_what_others_know_is_found_and_settled(host):
    back_up(host)
    then = moment(host)
    forgotten = trade(host)
    host.run("scripts/restore", "--yes", then, "microservice3")

    answer = host.run("scripts/restore-drill", check=False)

    assert f"order {forgotten} is unknown, and its stock is held" in answer.stdout
    kept = rows(
        host,
        "postgres",
        "SELECT max(datname) FROM pg_database WHERE datname ~ '^microservice3_before'",
    )
    assert str(forgotten) in rows(host, kept, "SELECT id FROM orders").split()
    listed = host.output("scripts/settle", "--dry-run")
    assert f"order {forgotten} is unknown" in listed
    assert host.output("scripts/settle", "--dry-run") == listed

    settled = host.output("scripts/settle")

    assert f"order {forgotten} is not known: what was held for it is given back" in settled
    assert "The services agree" in host.output("scripts/settle")
    host.run("scripts/restore-drill")
    assert trade(host) > forgotten


def test_stock_that_was_sold_before_products_forgot_it_is_held_again(host):
    """And the points, which Users has forgotten, are entered again."""
    back_up(host)
    then = moment(host)
    order = trade(host)
    for service in ("microservice1", "microservice2"):
        host.run("scripts/restore", "--yes", then, service)

    assert f"order {order} is confirmed: what it needs is held" in host.output("scripts/settle")

    held = f"SELECT state FROM reservations WHERE order_id = {order}"
    assert rows(host, "microservice2", held) == "held"
    host.run("scripts/restore-drill")


def test_one_database_can_be_taken_along_and_put_back(host):
    trade(host)
    said = host.output("scripts/backup", "microservice4")
    before = rows(host, "microservice4", TOLD)
    trade(host)

    host.run("scripts/restore", "--yes", re.search(r"scripts/restore (\S+)", said)[1])

    assert rows(host, "microservice4", TOLD) == before
    host.run("scripts/settle")
    assert "The services agree" in host.output("scripts/settle", "--dry-run")
    assert trade(host)


def test_settings_go_back_and_what_was_there_is_kept(host):
    name = back_up(host)
    changed = "/etc/microservices/microservice2.env"
    before = host.output("cat", changed)
    host.run("sh", "-c", f"echo 'LOG_LEVEL=\"DEBUG\"' >> {changed}")

    host.run("scripts/restore", "--yes", "--settings", name)

    assert host.output("cat", changed) == before
    assert "DEBUG" in host.output("sh", "-c", "cat /etc/microservices.before_*/microservice2.env")
    assert "nothing was changed" in host.output("scripts/install")


def test_images_that_are_gone_come_back_and_newer_ones_stay(host):
    images = "/var/lib/microservice2/images"
    host.run("install", "-d", "-o", "microservice2", images)
    for name in ("1001.png", "1002.png", "1003.png"):
        host.run("sh", "-c", f"echo lamp >{images}/{name}")
    backup = back_up(host)
    host.run("rm", f"{images}/1001.png", f"{images}/1002.png", f"{images}/1003.png")
    host.run("sh", "-c", f"echo newer >{images}/1002.webp")
    host.run("sh", "-c", f"echo spoilt >{BACKUPS}/sets/{backup}/images/1003.png")

    answer = host.run("scripts/restore", "--yes", backup, check=False)

    assert answer.returncode == 1
    assert "images/1003.png is damaged" in answer.stdout
    assert host.output("sh", "-c", f"cd {images}; ls 100*") == "1001.png\n1002.webp"
    assert host.output("stat", "-c", "%U", f"{images}/1001.png") == "microservice2"
    assert host.run("scripts/status").returncode == 0
    host.run("sh", "-c", f"rm {images}/100*; echo lamp >{BACKUPS}/sets/{backup}/images/1003.png")


@pytest.mark.slow
def test_a_new_host_goes_on_where_the_lost_one_ended(host):
    back_up(host)
    order = trade(host)
    archive_log(host)
    name = host.output("sh", "-c", f"ls {BACKUPS}/sets | tail -n 1")
    host.run(
        "sh", "-c", f"cp -a {BACKUPS} /root/copy; cp /etc/microservices/secrets/backup.key /root"
    )
    host.run("scripts/uninstall", "--erase", "--yes")
    version = host.output("ls", "/usr/lib/postgresql")
    host.run("pg_dropcluster", "--stop", version, "main")

    host.run("sh", "-c", f"chown -R 4242:4242 /root/copy && cp -a /root/copy {BACKUPS}")
    host.run(
        "install", "-D", "-m", "0600", "/root/backup.key", "/etc/microservices/secrets/backup.key"
    )
    host.run("scripts/restore", "--yes", "--settings", name)
    host.run("scripts/install")
    host.run("scripts/restore", "--yes", "latest")

    assert order in orders(host)
    assert trade(host) > order
    host.run("scripts/restore-drill")
