"""What was installed can be taken off again. These tests come last: they leave a bare machine."""

import pytest

from tests.host.asking import rows


def test_data_outlive_the_installation(host):
    users = ("microservice1", "SELECT count(*) FROM users")
    before = int(rows(host, *users))

    host.run("scripts/uninstall")

    assert host.run("ls", "/opt/www/microservice1", check=False).returncode != 0
    assert host.output("sh", "-c", "ps ax | grep -c [u]wsgi || true") == "0"
    assert int(rows(host, *users)) == before
    assert host.run("ls", "/etc/systemd/journald@quartet.conf", check=False).returncode != 0
    assert "worker_connections 768;" in host.output("cat", "/etc/nginx/nginx.conf")  # as Debian's
    host.run("scripts/install")
    assert int(rows(host, *users)) >= before


def test_erasing_asks_first_and_leaves_nothing(host):
    asked = host.run("scripts/uninstall", "--erase", stdin="no\n", check=False)
    assert asked.returncode == 1
    for thing in ("database  microservice3, ", "/var/backups/quartet  backups", "user      micro"):
        assert thing in asked.stdout
    assert host.run("scripts/status").returncode == 0

    host.run("scripts/uninstall", "--erase", "--yes")

    for place in (
        "/etc/microservices*",
        "/opt/www",
        "/usr/local/lib/systemd",
        "/var/backups/quartet",
        "/opt/www/microservice1",
        "/usr/lib/quartet",
        "/run/quartet",
        "/var/log/quartet",
        "/var/log/journal/*.quartet",
    ):
        assert host.run("sh", "-c", f"ls -d {place}", check=False).returncode != 0, place
    assert host.run("getent", "passwd", "microservice1", check=False).returncode != 0
    assert "not installed" in host.output("scripts/uninstall")
    assert "not installed" in host.output("scripts/uninstall", "--erase")


@pytest.mark.slow
def test_an_installation_that_was_killed_is_finished_by_the_next(host):
    host.run("scripts/uninstall", "--erase", "--yes")
    for seconds in ("2", "6", "15", "30", "45"):
        host.run("timeout", "--signal=KILL", seconds, "scripts/install", check=False)

    host.run("scripts/install")  # unless the last of them came to its end

    assert host.run("scripts/status").returncode == 0
    assert int(rows(host, "microservice3", "SELECT count(*) FROM orders")) == 1
    assert "nothing was changed" in host.output("scripts/install")
