"""What the scripts of the checkout tell of the host, and do to it, besides deploying."""

import json
import re
import subprocess

import pytest

from tests.system.front_door import wait_for

ASK = "import urllib.request as u; u.urlopen('http://127.0.0.1/api/service2/products').read()"
STATUS = re.compile(  # release, since, ready, processes, requests a second, errors, p95, queue, ...
    r"^microservice2 +(\S+) +\d+\w \d+\w +yes +2x4 +([\d.]+) +0\.0% +(\d+) +0 +\d+ s +[\d.]+ MiB$",
    re.MULTILINE,
)
IMAGES = "/var/lib/microservice2/images"
LOCKS = "/run/quartet-locks"


def test_status_is_content(host):
    answer = host.run("scripts/status")

    assert answer.returncode == 0
    for part in ("microservice1", "microservice4", "nginx", "postgresql"):
        assert f"\n{part}" in answer.stdout


def test_status_tells_what_is_asked_and_answered(host):
    for _ in range(30):
        host.run("python3", "-c", ASK)

    row = STATUS.search(host.output("scripts/status"))
    release, rps, p95 = row.groups()
    assert host.run("ls", f"/opt/www/microservice2/releases/{release}").returncode == 0
    assert 0.5 <= float(rps) < 60
    assert 1 <= int(p95) < 1000


def test_status_tells_programs_the_same(host):
    told = json.loads(host.output("scripts/status", "--json"))

    assert (told["place"], told["healthy"]) == ("host", True)
    parts = {part["name"]: part for part in told["parts"]}
    assert set(parts) == {*(f"microservice{n}" for n in range(1, 5)), "nginx", "postgresql"}
    products = parts["microservice2"]
    assert (products["state"], products["reason"], products["title"]) == ("ready", None, "products")
    assert (products["processes"], products["threads"]) == (2, 4)
    assert products["release_seconds"] > 0 and products["memory_bytes"] > 10_000_000
    assert any("The last backup is" in note for note in told["notes"])


def test_status_is_up_to_date_when_the_log_was_rotated(host):
    host.run("logrotate", "--force", "--state=/tmp/state", "/usr/lib/quartet/logrotate.conf")

    host.run("python3", "-c", ASK)

    wait_for(lambda: "products" in host.output("cat", "/var/log/quartet/access.log"))


def test_a_service_that_is_changed_is_waited_for(host):
    lock = f"{LOCKS}/opt-www-microservice2.lock"
    script = f"flock {lock} sleep 2 & sleep 0.5; scripts/restart microservice2"

    told = host.output("sh", "-c", script)

    assert "Something else is changing /opt/www/microservice2" in told
    assert "microservice2 restarted" in told


def test_more_threads_than_the_unit_may_have_are_refused(host):
    many = ("--processes", "20", "--threads", "64")

    answer = host.run("scripts/scale", "microservice2", *many, check=False)

    assert answer.returncode == 1
    assert "more than 900 tasks" in answer.stdout


def test_a_service_that_is_down_makes_status_fail(host):
    host.run("systemctl", "stop", "microservice-worker@microservice3")

    answer = host.run("scripts/status", check=False)

    assert answer.returncode == 1
    assert re.search(r"^microservice3 .* no worker .*\n +\S", answer.stdout, re.MULTILINE)
    host.run("scripts/start", "microservice3")
    assert host.run("scripts/status").returncode == 0


def test_status_tells_of_a_disk_that_is_nearly_full(host):
    assert "full" not in host.output("scripts/status")
    host.run("mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", IMAGES)
    try:
        host.run("fallocate", "--length", "40k", f"{IMAGES}/large")
        assert f"{IMAGES} is 100% full" in host.output("scripts/status")
    finally:
        host.run("umount", IMAGES)


def test_logs_shows_only_errors_since_a_time(host):
    host.run("scripts/stop", "products")
    host.run("python3", "-c", ASK, check=False)
    host.run("scripts/start", "products")

    assert '"status":503' in host.output("scripts/logs", "nginx", "--errors", "--since", "10m")
    assert host.output("scripts/logs", "nginx", "--errors", "--since", "0s") == ""
    assert '"level":"info"' not in host.output("scripts/logs", "products", "--errors")
    assert '"level":"info"' in host.output("scripts/logs", "products", "--since", "10m")


def test_all_migrations_are_applied(host):
    answer = host.output("scripts/migrate", "--status", "microservice3")

    assert "applied  microservice3/0001_create_orders.sql" in answer
    assert "missing" not in answer
    assert "nothing to apply" in host.output("scripts/migrate", "microservice3")


def test_an_administrator_is_made_and_can_be_given_a_token(host):
    made = host.run(
        "scripts/admin", "create", "ada", "ada@example.com", stdin="correct horse battery\n"
    )

    assert "created the administrator ada" in made.stdout
    assert host.output("scripts/token", "ada").startswith("eyJ")


def test_a_weak_password_makes_nobody(host):
    answer = host.run(
        "scripts/admin", "create", "eve", "eve@example.com", stdin="short\n", check=False
    )

    assert answer.returncode == 1
    assert "password" in answer.stdout


def test_a_new_password_is_printed_once_and_is_in_no_log(host):
    create = ("scripts/admin", "create", "zoe", "zoe@example.com")
    host.run(*create, stdin="correct horse battery\n")

    password = host.output("scripts/admin", "reset-password", "--generate", "zoe").splitlines()[-1]

    sign_in = f"""
import json, urllib.request as u
body = json.dumps({{"username": "zoe", "password": "{password}"}}).encode()
headers = {{"Content-Type": "application/json"}}
print(u.urlopen(u.Request("http://127.0.0.1/api/service1/tokens", body, headers)).status)
"""
    assert len(password) == 22
    assert host.output("python3", "-c", sign_in) == "200"
    search = f"{{ journalctl; journalctl --namespace=quartet; }} | grep -c -- {password} || true"
    assert host.output("sh", "-c", search) == "0"


def test_the_journal_has_a_line_for_each_request(host):
    host.run(
        "python3",
        "-c",
        "import urllib.request as u; u.urlopen('http://127.0.0.1/api/service2/products')",
    )

    lines = host.output("scripts/logs", "microservice2", "-n", "5").splitlines()

    assert any(json.loads(line).get("route") == "/products" for line in lines if line[0] == "{")


@pytest.mark.parametrize(
    ("part", "said"), [("nginx", "==> /var/log/nginx/"), ("postgres", "checkpoint complete")]
)
def test_the_servers_have_their_logs_in_files(host, part, said):
    host.run("sh", "-c", "cd / && runuser -u postgres -- psql -c CHECKPOINT")

    assert said in host.output("scripts/logs", part, "-n", "100")


def test_what_runs_is_not_deployed_again(host, release_of):
    answer = host.output("scripts/deploy", "microservice4")
    assert "nothing was changed" in answer
    assert "not committed" not in answer
    assert " installed 20" in host.output("scripts/releases", "microservice4")


def test_edits_that_are_not_committed_are_named(host):
    host.run("touch", "microservice4/not_yet.py")
    answer = host.output("scripts/deploy", "microservice4")
    host.run("rm", "microservice4/not_yet.py")

    assert "?? microservice4/not_yet.py" in answer
    assert "nothing was changed" in answer


def test_a_dry_run_of_a_deployment_changes_nothing(host, a_release, release_of):
    before = release_of("microservice4")
    a_release("microservice4/__init__.py", '"""', '"""Drier. ')

    answer = host.output("scripts/deploy", "--dry-run", "microservice4")

    assert f"would go from {before}" in answer
    assert release_of("microservice4") == before


@pytest.mark.parametrize(
    "words",
    [
        ("admin", "create", "--dry-run", "mary", "mary@example.com"),
        ("admin", "reset-password", "--dry-run", "admin"),
        ("backup", "--dry-run"),
        ("keys", "rotate", "--dry-run"),
        ("restart", "--dry-run"),
        ("restore-drill", "--dry-run"),
        ("scale", "--dry-run", "microservice1", "--processes", "3"),
        ("start", "--dry-run"),
        ("stop", "--dry-run", "microservice1"),
        ("tls", "--dry-run", "own", "shop.example"),
    ],
    ids=lambda words: words[0],
)
def test_a_dry_run_changes_nothing(host, words):
    state = ("sh", "-c", "find /etc/microservices /var/backups/quartet -ls; pgrep -x uwsgi")
    before = host.output(*state)

    answer = host.output(f"scripts/{words[0]}", *words[1:])

    assert answer.startswith("Dry run: ")
    assert answer.endswith("; nothing was changed.")
    assert host.output(*state) == before


def test_who_has_to_wait_for_another_is_told(host):
    folder = "/opt/www/microservice4"
    lock = f"{LOCKS}/opt-www-microservice4.lock"
    with subprocess.Popen(host.command("flock", lock, "sleep", "3")):
        wait_for(lambda: host.run("flock", "--nonblock", lock, "true", check=False).returncode)
        answer = host.output("scripts/restore", "--dry-run", "latest")

    assert f"Something else is changing {folder}: waiting up to 600 s for it to end." in answer
    assert "Dry run" in answer


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("deploy",), 2, "which service"),
        (("deploy", "microservice9"), 2, "no service is called"),
        (("deploy", "microservice1", "no-such-branch"), 1, "no commit"),
        (("rollback", "microservice1", "no-such-release"), 1, "has no release"),
        (("scale", "microservice1", "--processes", "0"), 2, "from 1 to 64"),
        (("scale", "microservice1", "--processes", "64"), 1, "PostgreSQL allows"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_done_is_refused_with_a_reason(host, words, status, said):
    answer = host.run(f"scripts/{words[0]}", *words[1:], check=False)

    assert answer.returncode == status
    assert said in answer.stdout


@pytest.fixture
def setting(host):
    """Returns a function that adds a line to a file of settings, until the test has ended."""
    before = {}

    def added(service, line):
        path = host.root / f"etc/microservices/{service}.env"
        before[path] = path.read_text()
        path.write_text(f"{before[path]}{line}\n")

    yield added
    for path, text in before.items():
        path.write_text(text)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("CURRENCY=Dollars", "must be three capital letters"),
        ("PROCESSES=many", "PROCESSES must be a whole number from 1 to 64"),
        ("SMTP_URL=mail.example.com", "SMTP_URL must be like smtp://"),
        ("PROCESSES='64'", "PostgreSQL allows"),
    ],
)
def test_a_setting_that_makes_no_sense_stops_nothing(host, setting, line, said):
    begun = ("systemctl", "show", "--property=MainPID", "microservice@microservice4")
    before = host.output(*begun)
    setting("microservice4", line)

    answer = host.run("scripts/restart", "microservice4", check=False)

    assert answer.returncode == 1
    assert said in answer.stdout
    assert host.output(*begun) == before


def test_what_the_importer_needs_is_there(host):
    answer = host.output("scripts/import-trade", "scripts/lib/sample-trade.csv")

    assert "Reconciled to the penny" in answer


@pytest.fixture
def mails(host):
    """A mail server `mail.example` outside of loopback. Returns the file of what it was sent."""
    settings, file = "/etc/microservices/microservice4.env", "/run/mails"
    address = host.output("hostname", "-I").split()[0]
    host.run("sh", "-c", f"echo {address} mail.example >>/etc/hosts; cp -p {settings} /root/kept")
    server = ("python3", "/root/quartet/tests/host/mail_server.py", "2525", file)
    host.run("systemd-run", "--unit=mail-server", *server)
    host.run("sed", "-i", 's|^SMTP_URL=.*|SMTP_URL="smtp://mail.example:2525"|', settings)
    host.run("scripts/restart", "microservice4")
    yield file
    host.run("cp", "-p", "/root/kept", settings)
    host.run("scripts/restart", "microservice4")
    host.run("systemctl", "stop", "mail-server")
    host.run("sed", "-i", "/mail.example/d", "/etc/hosts")


def test_mail_is_sent_by_a_confined_worker_to_a_server_that_has_a_name(host, mails):
    smoke_test = ("python3", "scripts/lib/smoke_test.py", "http://127.0.0.1", "")
    host.run(*smoke_test, stdin=host.output("scripts/token"))

    wait_for(lambda: "is confirmed" in host.run("cat", mails, check=False).stdout, 15)
