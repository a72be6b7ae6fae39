"""From a bare Debian to a host that has taken an order, and taken it back, by one command."""

import re

import pytest

UNITS = [
    f"{unit}@microservice{number}.service"
    for unit in ("microservice", "microservice-worker", "microservice-candidate")
    for number in range(1, 5)
]
TIMED_UNITS = [
    f"microservices-{name}.service" for name in ("backup", "restore-drill", "logs", "prune")
]
EXPOSURE = {
    **dict.fromkeys(UNITS, 1.0),
    **dict.fromkeys(TIMED_UNITS, 1.5),
    "nginx.service": 1.5,
    "microservices-metrics.service": 1.5,
}


def postgres_unit(host):
    version = host.output("ls", "/usr/lib/postgresql")
    return f"postgresql@{version}-main.service"


@pytest.mark.brief
def test_one_command_leads_to_the_first_order(installation):
    assert "ordered       order 1," in installation.output
    assert "notification  suppressed" in installation.output
    assert "taken back    order, product and customer" in installation.output


def test_it_takes_less_than_three_minutes(installation):
    """On a machine that does nothing else."""
    assert installation.seconds < 180, f"{installation.stolen:.0%} of the time was stolen"


@pytest.mark.brief
def test_a_second_install_changes_nothing(host):
    made = ["/etc", "/opt/www", "/usr/lib/quartet", "/usr/local/lib/systemd"]
    before = host.output("find", *made, "-printf", "%p %T@ %i\n")

    answer = host.output("scripts/install")

    assert "nothing was changed" in answer
    assert host.output("find", *made, "-printf", "%p %T@ %i\n") == before


def test_checking_finds_what_is_missing_and_mends_nothing(host):
    assert host.run("scripts/install", "--check").returncode == 0
    host.run("rm", "/etc/nginx/snippets/headers.conf")

    found = host.run("scripts/install", "--check", check=False)

    assert found.returncode == 1
    assert "Nginx on port 80" in found.stdout
    assert "PostgreSQL" not in found.stdout
    assert host.run("ls", "/etc/nginx/snippets/headers.conf", check=False).returncode != 0
    assert "Nginx on port 80" in host.output("scripts/install")


def test_a_part_that_was_begun_and_not_ended_is_made_again(host):
    """Its files may be there, and whoever was to read them not have been told."""
    host.run("touch", "/opt/www/.making-units")

    found = host.run("scripts/install", "--check", check=False)

    assert found.returncode == 1
    assert "Units of systemd" in found.stdout
    assert "Units of systemd" in host.output("scripts/install")
    assert "nothing was changed" in host.output("scripts/install")


def test_a_release_for_another_python_is_built_again(host):
    """As after an upgrade of Debian."""
    environment = "/opt/www/microservice2/current/venv"
    as_of_another = "mv lib/python3.* lib/python2.7; rm stamp; echo another >stamp"
    host.run("sh", "-c", f"cd {environment} && {as_of_another}")

    refused = host.run("scripts/deploy", "microservice2", check=False)

    assert refused.returncode == 1
    assert "another Python" in refused.stdout
    assert "a release of each service" in host.output("scripts/install")
    host.run("scripts/restart", "microservice2")
    assert host.run("scripts/status").returncode == 0
    assert "nothing was changed" in host.output("scripts/install")


def test_who_still_runs_a_uwsgi_that_was_replaced_is_told_of(host):
    uwsgi = "/usr/lib/quartet/uwsgi"
    assert "replaced" not in host.output("scripts/status")
    host.run("sh", "-c", f"cp -p {uwsgi} {uwsgi}.new && mv {uwsgi}.new {uwsgi}")
    assert host.output("scripts/status").count("uWSGI that was replaced") == 4
    assert host.output("scripts/install").count("uWSGI that was replaced") == 4

    host.run("scripts/restart")

    assert "replaced" not in host.output("scripts/status")


def test_what_nginx_does_not_accept_is_taken_back(host):
    listing = ("sh", "-c", "cd /etc/nginx && find . -type f -exec sha256sum {} + | sort")
    operators = host.root / "etc/nginx/conf.d/operator.conf"
    operators.write_text("no such directive;\n")
    host.run("rm", "/etc/nginx/snippets/headers.conf")
    before = host.output(*listing)
    try:
        answer = host.run("scripts/install", check=False)
        after = host.output(*listing)
        host.run("cp", "nginx/snippets/headers.conf", "/etc/nginx/snippets/headers.conf")
        again = host.run("scripts/install", "--check", check=False)
    finally:
        operators.unlink()
        host.run("scripts/install")

    assert answer.returncode == 1
    assert "operator.conf" in answer.stdout
    assert after == before
    assert "Nginx on port 80" in again.stdout  # all of ours is there, and Nginx would not start


@pytest.mark.brief
def test_no_unit_is_more_exposed_than_it_may_be(host):
    figures = EXPOSURE | {postgres_unit(host): 2.5}
    for unit, most in figures.items():
        scored = host.output("systemd-analyze", "security", "--no-pager", unit)
        exposure = float(re.search(r"exposure level for \S+: ([\d.]+)", scored)[1])
        assert exposure <= most, unit


@pytest.mark.brief
def test_systemd_has_nothing_to_complain_of(host):
    units = [*UNITS, "microservice@microservice1.socket", "microservices.target", "nginx.service"]
    units += [*TIMED_UNITS, *(unit.replace(".service", ".timer") for unit in TIMED_UNITS)]
    units += ["microservices-after-backup.service"]
    units += ["microservices-metrics.service", "microservices-metrics.socket"]

    said = host.output("systemd-analyze", "verify", "--man=no", *units, postgres_unit(host))

    assert said == ""


@pytest.mark.brief
def test_a_service_reads_its_own_secrets_and_no_others(host):
    as_service = ("runuser", "-u", "microservice2", "--")
    for file in ("secrets/microservice2.pem", "secrets/admin.password", "microservice1.env"):
        answer = host.run(*as_service, "cat", f"/etc/microservices/{file}", check=False)
        assert "Permission denied" in answer.stdout

    answer = host.run(*as_service, "psql", "-d", "microservice3", "-c", "SELECT 1", check=False)
    assert answer.returncode != 0


def test_a_service_can_write_nothing_but_its_figures_and_its_data(host):
    pid = host.output("systemctl", "show", "-P", "MainPID", "microservice@microservice2")
    inside = ("nsenter", "-t", pid, "-m", "setpriv", "--reuid=microservice2", "--clear-groups")
    for place in (
        "/opt/www/microservice2/current/x",
        "/etc/x",
        "/var/tmp/../x",
        "/root/x",
        "/run/x",
    ):
        assert host.run(*inside, "touch", place, check=False).returncode != 0, place

    host.run(
        *inside, "touch", "/run/microservices/microservice2/metrics/x", "/var/lib/microservice2/x"
    )
    host.run("rm", "/run/microservices/microservice2/metrics/x", "/var/lib/microservice2/x")
