"""Logs on a host: of bounded size, in folders of root; the journal of the services is apart."""

import json

import pytest

from tests.system.front_door import wait_for

ACCESS_LOG = "/var/log/quartet/access.log"
ASK = "import urllib.request as u; u.urlopen('http://127.0.0.1/api/service2/products')"
ROTATION = "microservices-logs"


def requests_in(host, *journal):
    """The lines about requests that a journal has of microservice2."""
    unit = "--unit=microservice@microservice2.service"
    lines = host.output("journalctl", *journal, unit, "--output=cat", "--quiet").splitlines()
    return [line for line in lines if '"route"' in line]


def test_the_services_have_a_journal_of_their_own(host):
    host.run("python3", "-c", ASK)

    line = wait_for(lambda: requests_in(host, "--namespace=quartet"))[-1]
    assert json.loads(line)["service"] == "microservice2"
    assert requests_in(host) == []
    assert host.output("sh", "-c", "ls -d /var/log/journal/*.quartet")
    settings = host.output("systemd-analyze", "cat-config", "systemd/journald@quartet.conf")
    assert "SystemMaxUse=1G" in settings


def test_scripts_read_that_journal_and_what_systemd_says_of_the_services(host):
    told = host.output("scripts/logs", "microservice2", "-n", "100000")

    assert '"route"' in told
    assert "Started " in told


@pytest.mark.parametrize("folder", ["/var/log/nginx", "/var/log/quartet"])
def test_the_user_of_nginx_cannot_replace_a_log(host, folder):
    host.run("systemctl", "restart", "nginx")

    assert host.output("stat", "--format=%U:%G %a", folder) == "root:adm 755"
    as_nginx = ["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups"]
    for trap in (
        f"touch {folder}/trap",
        f"mv {folder}/access.log {folder}/elsewhere",
        f"ln -sf /etc/passwd {folder}/error.log",
    ):
        assert host.run(*as_nginx, "sh", "-c", trap, check=False).returncode != 0, trap


def test_a_log_is_rotated_as_soon_as_it_is_large(host):
    postgres = host.output("sh", "-c", "ls /var/log/postgresql/*-main.log")
    for log in (ACCESS_LOG, postgres):
        host.run("truncate", "--size=+101M", log)

    host.run("systemctl", "start", ROTATION)

    for log in (ACCESS_LOG, postgres):
        assert int(host.output("stat", "--format=%s", log)) < 1_000_000
        assert int(host.output("stat", "--format=%s", f"{log}.1")) > 100_000_000
    assert host.output("stat", "--format=%U:%G %a", ACCESS_LOG) == "www-data:adm 640"
    host.run("python3", "-c", ASK)
    wait_for(lambda: "products" in host.output("cat", ACCESS_LOG))
    assert host.run("scripts/status").returncode == 0


def test_a_log_that_is_small_stays(host):
    before = host.output("stat", "--format=%i", ACCESS_LOG)

    host.run("systemctl", "start", ROTATION)

    assert host.output("stat", "--format=%i", ACCESS_LOG) == before


def test_rotation_is_looked_after_every_five_minutes(host):
    timer = f"{ROTATION}.timer"
    assert host.output("systemctl", "is-enabled", timer) == "enabled"
    assert host.output("systemctl", "is-active", timer) == "active"
    assert "*:00/5" in host.output("systemctl", "show", "--property=TimersCalendar", timer)
