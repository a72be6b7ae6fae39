"""Backups: that they are made, hold everything, and that a drill finds what is wrong with them."""

import re
import subprocess
import time

import pytest

from tests.host.asking import BACKUPS, back_up, pgbackrest, rows, trade
from tests.system.front_door import wait_for

AT_RISK_SECONDS = 60

# A table of which nothing is logged, an index without one of its rows, a key that leads to nothing.
DAMAGE = """
SET SESSION AUTHORIZATION microservice3_owner;
ALTER TABLE order_history SET UNLOGGED;
CREATE TABLE torn (n integer PRIMARY KEY);
CREATE TABLE loose (n integer CONSTRAINT loose_is_torn REFERENCES torn);
RESET SESSION AUTHORIZATION;
UPDATE pg_index SET indisready = false WHERE indexrelid = 'torn_pkey'::regclass;
INSERT INTO torn VALUES (1);
UPDATE pg_index SET indisready = true WHERE indexrelid = 'torn_pkey'::regclass;
SET session_replication_role = replica;
INSERT INTO loose VALUES (2);
"""
MENDED = "DROP TABLE loose, torn; ALTER TABLE order_history SET LOGGED"


def test_installing_starts_the_timers_and_makes_a_first_backup(host):
    for name in ("backup", "restore-drill", "prune"):
        timer = f"microservices-{name}.timer"
        assert host.output("systemctl", "is-enabled", timer) == "enabled"
        assert host.output("systemctl", "is-active", timer) == "active"
    assert re.match(r"\d{8}-\d{6}F +full ", host.output("scripts/restore", "--list"))


def test_a_second_backup_holds_what_has_changed(host):
    trade(host)

    name = back_up(host)

    assert re.fullmatch(r"\d{8}-\d{6}F_\d{8}-\d{6}I", name)
    listed = host.output("scripts/restore", "--list")
    assert re.search(rf"^{name} +incr ", listed, re.MULTILINE)


def test_work_is_in_the_archive_within_a_minute(host):
    trade(host)
    archived = "SELECT last_archived_time > '{}' FROM pg_stat_archiver"
    begun = host.output("date", "--utc", "--iso-8601=seconds")
    ended = time.monotonic() + AT_RISK_SECONDS

    while rows(host, "postgres", archived.format(begun)) != "t":
        assert time.monotonic() < ended
        time.sleep(1)


def test_status_tells_that_nothing_is_archived_and_no_backup_made(host):
    settings = "/etc/microservices/pgbackrest.conf"
    host.run("mv", settings, f"{settings}.away")
    try:
        assert host.run("scripts/backup", check=False).returncode == 1
        assert host.run("scripts/restore-drill", check=False).returncode == 1
        assert "drill has FAILED" in host.output("scripts/status")
        trade(host)  # there must be something to archive
        rows(host, "postgres", "SELECT pg_switch_wal()")
        wait_for(lambda: "has not been archived for" in host.output("scripts/status"), 60)
        assert "The last attempt at one has FAILED" in host.output("scripts/status")
    finally:
        host.run("mv", f"{settings}.away", settings)

    back_up(host)
    host.run("scripts/restore-drill")

    told = host.output("scripts/status")
    assert "The last backup is 0m" in told
    assert "FAILED" not in told
    assert "not been archived" not in told


def test_status_tells_of_what_is_old(host):
    for name, told in (
        ("backup", "none of the last two days"),
        ("drill", "None was tried for 30d"),
    ):
        file = f"{BACKUPS}/metrics/{name}.prom"
        before = host.output("cat", file)
        figure = "s/finished_seconds .*/finished_seconds $(date -d '30 days ago' +%s)/"
        host.run("sh", "-c", f'sed -i "{figure}" {file}')
        assert told in host.output("scripts/status")
        host.run("sh", "-c", f"cat >{file}", stdin=f"{before}\n")
    assert "days" not in host.output("scripts/status")


def test_a_backup_that_is_ended_has_failed(host):
    host.run("timeout", "1", "scripts/backup", check=False)

    assert "The last attempt at one has FAILED" in host.output("scripts/status")
    back_up(host)


def test_a_service_cannot_hold_up_the_nightly_backup(host):
    as_service = ("setpriv", "--reuid=microservice4", "--regid=microservice4", "--clear-groups")
    hold = ("flock", BACKUPS, "sleep", "300")
    with subprocess.Popen(host.command(*as_service, *hold)) as holder:
        wait_for(lambda: host.run("flock", "-n", BACKUPS, "true", check=False).returncode)
        host.run("timeout", "120", "systemctl", "start", "microservices-backup.service")
        holder.kill()
    host.run("pkill", "--full", "sleep 300")

    listed = host.output("sh", "-c", "find /run/quartet-locks -printf '%u %m %f\\n'")
    assert listed.splitlines()[0] == "root 700 quartet-locks"


def test_a_backup_that_never_gets_its_turn_has_failed(host):
    lock = "/run/quartet-locks/var-backups-quartet.lock"
    with subprocess.Popen(host.command("flock", lock, "sleep", "20")):
        wait_for(lambda: host.run("flock", "-n", lock, "true", check=False).returncode)
        environment = ("QUARTET_LOCK_WAIT_SECONDS=1",)
        done = host.run("scripts/backup", check=False, environment=environment)

    assert done.returncode == 1
    assert "is still being changed by process" in done.stdout
    assert "The last attempt at one has FAILED" in host.output("scripts/status")
    back_up(host)


def test_the_timer_prunes_what_is_kept_no_longer(host):
    rows(host, "microservice2", "INSERT INTO inbox VALUES ('old', now() - interval '31 days')")
    log = ("journalctl", "--namespace=+quartet", "--identifier=prune", "--output=cat", "--no-pager")

    host.run("systemctl", "start", "microservices-prune")

    assert rows(host, "microservice2", "SELECT FROM inbox WHERE event_id = 'old'") == ""
    said = host.output(*log)
    for service in ("microservice1", "microservice2", "microservice3", "microservice4"):
        assert re.search(rf"{service} +audit entries +kept for ever", said), said


def test_every_unit_that_a_timer_starts_has_a_limit(host):
    timers = host.output(
        "systemctl", "list-unit-files", "--plain", "--no-legend", "microservices-*"
    )
    units = [line.split()[0] for line in timers.splitlines() if ".service" in line]
    assert len(units) >= 4

    for unit in units:
        limit = host.output("systemctl", "show", "--property=TimeoutStartUSec", "--value", unit)
        assert limit != "infinity", unit


def test_a_dump_is_there_whole_or_not_at_all(host):
    dumps = ("ls", f"{BACKUPS}/dumps")
    before = host.output(*dumps)
    rows(host, "postgres", "ALTER DATABASE microservice4 ALLOW_CONNECTIONS false")
    try:
        assert host.run("scripts/backup", "microservice4", check=False).returncode == 1
    finally:
        rows(host, "postgres", "ALTER DATABASE microservice4 ALLOW_CONNECTIONS true")

    assert re.sub(r"\S+\.new\n?", "", host.output(*dumps)) == before
    host.run("scripts/backup", "microservice4")
    assert ".new" not in host.output(*dumps)


def test_the_newest_ten_dumps_of_a_service_are_kept(host):
    dumps = f"{BACKUPS}/dumps"
    host.run(
        "sh",
        "-c",
        f"cd {dumps}; for n in $(seq 10 22); do touch microservice4-20010101-0000$n.dump.age; done",
    )

    host.run("scripts/backup", "microservice4")

    kept = host.output("sh", "-c", f"cd {dumps}; ls microservice4-*.dump.age").splitlines()
    assert len(kept) == 10
    assert "microservice4-20010101-000022.dump.age" in kept
    assert "microservice4-20010101-000010.dump.age" not in kept
    host.run("sh", "-c", f"rm {dumps}/microservice4-2001*")


def test_what_goes_with_a_backup_goes_when_it_is_too_old(host):
    back_up(host)
    pgbackrest(host, "--type=full", "backup")
    pgbackrest(host, "--repo1-retention-full=1", "expire")  # as in the runbook, of a full disk

    name = back_up(host)

    assert host.output("ls", f"{BACKUPS}/sets") == name


def test_nobody_reads_a_secret_or_a_customer_in_a_backup(host):
    back_up(host)
    secret = host.output("cat", "/etc/microservices/secrets/admin.password")
    name = rows(host, "microservice1", "SELECT username FROM users ORDER BY id DESC LIMIT 1")

    for text in (secret, name, "BEGIN PRIVATE KEY"):
        assert host.run("grep", "-raF", "-e", text, BACKUPS, check=False).stdout == ""


def test_the_hook_is_told_where_backups_are(host):
    hook = host.root / "etc/microservices/hooks/after-backup"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nls $1/sets >/run/hooked\n")
    hook.chmod(0o755)

    name = back_up(host)
    host.run("systemctl", "start", "microservices-after-backup")

    assert name in host.output("cat", "/run/hooked")

    hook.write_text("#!/bin/sh\nexit 1\n")
    host.run("systemctl", "start", "microservices-after-backup", check=False)
    assert "microservices-after-backup.service has FAILED" in host.output("scripts/status")
    host.run("systemctl", "reset-failed", "microservices-after-backup")
    host.run("rm", "-r", "/etc/microservices/hooks")


@pytest.mark.brief
def test_the_drill_is_content(host):
    trade(host)
    back_up(host)

    host.run("systemctl", "start", "microservices-restore-drill")

    assert "quartet_restore_drill_ok 1" in host.output("cat", f"{BACKUPS}/metrics/drill.prom")
    assert host.output("ls", "-A", "/var/lib/quartet-beside") == ""


def test_the_drill_finds_a_promise_that_was_broken(host):
    order = trade(host)
    state = f"UPDATE reservations SET state = '{{}}' WHERE order_id = {order}"
    rows(host, "microservice2", state.format("released"))
    try:
        answer = host.run("scripts/restore-drill", check=False)
    finally:
        rows(host, "microservice2", state.format("held"))

    assert answer.returncode == 1
    assert f"order {order} is confirmed: of product" in answer.stdout
    assert "quartet_restore_drill_ok 0" in host.output("cat", f"{BACKUPS}/metrics/drill.prom")
    alarms = host.output(
        "journalctl", "--priority=err", "--identifier=quartet-restore-drill", "-o", "cat"
    )
    assert "has failed" in alarms


def test_the_drill_finds_rows_that_are_lost_a_torn_index_and_a_constraint_that_does_not_hold(host):
    trade(host)
    back_up(host)
    rows(host, "microservice3", DAMAGE)
    try:
        answer = host.run("scripts/restore-drill", check=False)
    finally:
        rows(host, "microservice3", MENDED)

    assert answer.returncode == 1
    assert "microservice3.order_history: 0 rows, and there were" in answer.stdout
    assert 'index "torn_pkey"' in answer.stdout
    assert "loose_is_torn" in answer.stdout
    host.run("scripts/restore-drill")


def test_damaged_settings_are_found(host, damaged):
    name = back_up(host)
    damaged(f"{BACKUPS}/sets/{name}/settings.tar.age")

    answer = host.run("scripts/restore-drill", check=False)

    assert answer.returncode == 1
    assert "settings.tar.age: FAILED" in answer.stdout
    assert host.run("scripts/restore", "--yes", "--settings", name, check=False).returncode == 1
    assert host.run("scripts/status").returncode == 0
