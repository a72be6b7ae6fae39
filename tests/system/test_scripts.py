"""The scripts: what they start, stop, tell and refuse, and what they must not touch."""

import json
import os
import re
import signal
import socket
import threading
from pathlib import Path

import pytest
import requests

from chassis.version import VERSION
from tests.system.front_door import PROJECT, wait_for
from tests.system.running import SERVICES, descendants, in_library, pid_of, pids, run

HOST = Path("/usr/local/lib/systemd/system/microservices.target")
SCRIPTS = sorted(path for path in (PROJECT / "scripts").iterdir() if path.is_file())

# ---- help


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_script_tells_what_it_does_and_does_nothing(script, tmp_path):
    answer = run(script, "--help", env={**os.environ, "QUARTET_VAR": str(tmp_path / "var")})

    assert answer.returncode == 0
    assert answer.stdout.startswith("Summary: ")
    assert "\nUsage: " in answer.stdout
    assert not (tmp_path / "var").exists()


@pytest.mark.skipif(HOST.exists(), reason="Quartet is installed on this machine")
@pytest.mark.parametrize(
    "script",
    [
        *("start", "stop", "releases", "deploy", "deploy microservice1", "rollback microservice1"),
        *("migrate microservice1", "scale microservice1 --threads 2", "tls show", "tls"),
        *("backup", "restore", "restore --list", "restore-drill", "settle", "stop nothing"),
    ],
)
def test_a_script_for_a_host_says_so_and_what_does_the_same_in_a_checkout(script):
    name, *words = script.split()
    answer = run(PROJECT / "scripts" / name, *words, env=dict(os.environ))

    assert answer.returncode == 1
    assert "this is for a host" in answer.stderr
    assert re.search(r"\. Here: .*(scripts/(up|down|restart)|plain HTTP)", answer.stderr)
    assert "scripts/install" not in answer.stderr


@pytest.mark.parametrize(
    "script",
    ["demo", "status", "logs", "token", "restart", "dead-letters list", "trace x", "keys list"],
)
def test_a_script_that_needs_a_stack_says_how_to_get_one(script, tmp_path):
    name, *words = script.split()
    env = {**os.environ, "QUARTET_VAR": str(tmp_path / "var")}
    answer = run(PROJECT / "scripts" / name, *words, env=env)

    assert answer.returncode == 1
    assert "scripts/up" in answer.stderr


WRONG = {
    **dict.fromkeys(["import-trade", "lock"], "--no-such-option"),
    **{"test": "tests/no-such-folder", "trace": "no/id", "token": "one two", "admin": "destroy"},
    **{"dead-letters": "bury", "restore": "--no-such-option now", "logs": "--no-such-option"},
}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_script_fails_on_a_wrong_argument_and_changes_nothing(script, tmp_path):
    if script.name == "lock":
        pytest.skip("it hands its arguments to uv, which it installs first")
    env = {**os.environ, "QUARTET_VAR": str(tmp_path / "var")}

    answer = run(script, *WRONG.get(script.name, "no-such-thing").split(), env=env)

    assert answer.returncode != 0
    assert answer.stdout + answer.stderr
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize(
    "words",
    [
        *("down microservice9", "down users microservice9", "restart orderz", "logs orderz"),
        *("dead-letters list orderz", "keys list orderz", "prune orderz"),
    ],
)
def test_a_service_that_is_not_there_is_answered_with_those_that_are(words, tmp_path):
    name, *words = words.split()
    env = {**os.environ, "QUARTET_VAR": str(tmp_path / "var")}
    answer = run(PROJECT / "scripts" / name, *words, env=env)

    assert answer.returncode == 2
    assert "microservice1 (users), microservice2 (products), microservice3" in answer.stderr


# ---- up


def test_a_second_up_changes_nothing(stack):
    before = pids(stack)
    mails = len(list((stack.var / "mail").iterdir()))

    answer = stack.script("up")

    assert "Everything is up already." in answer.stdout
    assert pids(stack) == before
    assert len(list((stack.var / "mail").iterdir())) == mails


LISTS = ("service1/users", "service2/products", "service3/orders", "service4/notifications")
REPORT = "service3/reports/sales?from=2026-01-01&to=2100-01-01"


def everything(stack, token):
    """What an administrator sees: how long the lists are and how they begin, and the reports."""
    lists = [stack.call("GET", f"/api/{path}", token=token) for path in LISTS]
    reports = [
        stack.call("GET", f"/api/{path}", token=token) for path in ("service2/categories", REPORT)
    ]
    totals = [json.loads(answer.headers["X-Pagination"])["total"] for answer in lists]
    return totals, [answer.json() for answer in lists + reports]


def test_the_order_by_which_up_tries_a_shop_with_orders_leaves_nothing(stack, admin_token):
    before = everything(stack, admin_token)
    os.kill(pid_of(stack, "microservice4.worker"), signal.SIGKILL)

    answer = stack.script("up")

    assert re.search(r"ordered       order \d+, 1.00 EUR", answer.stdout)
    assert "notification  suppressed" in answer.stdout
    assert "taken back    order, product and customer" in answer.stdout
    assert everything(stack, admin_token) == before


def test_up_restarts_what_died_and_nothing_else(stack):
    before = pids(stack)
    os.kill(before["microservice4.worker"], signal.SIGKILL)
    os.kill(before["nginx"], signal.SIGTERM)
    wait_for(lambda: not (stack.var / "run" / "nginx.pid").exists())

    answer = stack.script("up")

    after = pids(stack)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"microservice4", "microservice4.worker", "nginx"}
    assert "microservice4 restarted" in answer.stdout
    assert stack.call("GET", "/api/service4/health/ready").status_code == 200


def test_a_taken_port_is_named_with_the_setting_that_chooses_another(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = str(listening.getsockname()[1])
        env = {"QUARTET_VAR": str(tmp_path / "var"), "QUARTET_HTTP_PORT": port}
        answer = run(PROJECT / "scripts/up", env={**os.environ, **env})
    started = (tmp_path / "var" / "postgres").exists()
    run(PROJECT / "scripts/down", "--erase", env={**os.environ, **env})

    assert answer.returncode == 1
    assert port in answer.stderr
    assert "QUARTET_HTTP_PORT=" in answer.stderr
    assert not started


def test_a_step_that_fails_shows_the_end_of_its_log_and_what_to_do():
    answer = in_library("""
        lay() { seq 1 100; echo the pipe is broken >&2; false; echo never said; }
        step "Laying pipes" "call the plumber." lay
        echo not reached""")

    assert answer.returncode == 1
    assert "Laying pipes: FAILED" in answer.stderr
    assert "| the pipe is broken" in answer.stderr
    assert "What to do: call the plumber." in answer.stderr
    assert "never said" not in answer.stderr
    assert "not reached" not in answer.stdout


# ---- status, token, logs


def test_status_shows_every_part_with_its_memory_within_600_mebibytes(stack):
    stack.script("restart")  # that is what it takes to be there; load takes more
    answer = stack.script("status")

    assert answer.stdout.startswith(f"Quartet {VERSION}\n")
    rows = [line for line in answer.stdout.splitlines() if line.endswith("MiB")]
    for name, pid in pids(stack).items():
        title = name.replace(".worker", " worker")
        assert any(re.match(rf"{title} +{pid} ", row) for row in rows), name
    for service in SERVICES:
        assert re.search(rf"^{service} +\d+ +yes ", answer.stdout, re.M)
    total = float(re.search(r"^total +([\d.]+) MiB$", answer.stdout, re.M)[1])
    assert 100 < total <= 600


def test_token_prints_a_token_and_nothing_else(stack):
    answer = stack.script("token")
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", answer.stdout)

    me = stack.call("GET", "/api/service1/users/me", token=answer.stdout.strip())
    assert me.json()["username"] == "admin"


def test_status_says_why_a_service_is_not_ready_and_programs_read_the_same(stack):
    worker = stack.var / "log" / "microservice4.log"
    with worker.open("a") as log:
        log.write("Traceback (most recent call last):\n  x\nModuleNotFoundError: no colour\n")
    stack.script("down", "notifications")
    try:
        answer = stack.script("status", check=False)
        as_json = stack.script("status", "--json", check=False)
    finally:
        stack.script("up")

    reason = "It does not run. Last error: ModuleNotFoundError: no colour"
    lines = answer.stdout.splitlines()
    row, *_ = [i for i, line in enumerate(lines) if line.startswith("microservice4  ")]
    assert lines[row + 1].strip() == reason
    told = json.loads(as_json.stdout)
    assert as_json.returncode == 1
    assert (told["place"], told["healthy"], told["url"]) == ("stack", False, stack.url)
    parts = {part["name"]: part for part in told["parts"]}
    assert list(parts)[:4] == list(SERVICES)
    assert {"microservice4 worker", "nginx", "postgresql"} < set(parts)
    down, ready = parts["microservice4"], parts["microservice3"]
    assert (down["title"], down["state"], down["pid"]) == ("notifications", "down", None)
    assert down["reason"] == reason
    assert (ready["state"], ready["reason"], ready["pid"]) == (
        *("ready", None),
        pid_of(stack, "microservice3"),
    )
    assert ready["uptime_seconds"] >= 0 and ready["memory_bytes"] > 10_000_000
    assert parts["nginx"]["state"] == "running"


def test_a_token_for_nobody_is_refused(stack):
    answer = stack.script("token", "nobody-of-this-name", check=False)
    assert answer.returncode != 0
    assert answer.stdout == ""


def test_a_new_password_is_all_that_is_printed_and_opens_the_account(stack):
    account = {"username": "Forgetful", "password": "correct horse battery"}
    stack.call("POST", "/api/service1/users", json={**account, "email": "forgetful@example.com"})

    answer = stack.script("admin", "reset-password", "--generate", "forgetful")

    assert re.fullmatch(r"[\w-]{22}\n", answer.stdout)
    account["password"] = answer.stdout.strip()
    assert stack.call("POST", "/api/service1/tokens", json=account).status_code == 200
    for log in (stack.var / "log").iterdir():
        assert account["password"] not in log.read_text(errors="replace")


@pytest.mark.parametrize("words", [(), ("destroy",), ("reset-password",), ("create", "ada")])
def test_what_admin_does_not_understand_is_refused(stack, words):
    assert stack.script("admin", *words, check=False).returncode == 2


def test_logs_shows_one_service_with_its_worker(stack):
    stack.call("GET", "/api/service2/products", headers={"X-Request-ID": "seen-in-the-log"})

    assert "seen-in-the-log" in stack.script("logs", "microservice2", "-n", "200").stdout
    assert "seen-in-the-log" in stack.script("logs", "nginx", "-n", "200").stdout
    assert "seen-in-the-log" not in stack.script("logs", "microservice3", "-n", "200").stdout
    assert "seen-in-the-log" in stack.script("logs", "products", "--since", "10m").stdout
    assert "seen-in-the-log" not in stack.script("logs", "products", "--since", "0s").stdout
    assert "seen-in-the-log" not in stack.script("logs", "--errors").stdout


def test_logs_shows_only_errors_since_a_time(stack):
    stack.script("down", "products")
    try:
        missed = stack.call("GET", "/api/service2/products")
    finally:
        stack.script("up")
    assert missed.status_code == 503

    assert missed.headers["X-Request-ID"] in stack.script("logs", "nginx", "--errors").stdout
    shown = stack.script("logs", "--errors", "--since", "1h", "-n", "1").stdout
    assert '"status":200' not in shown
    assert stack.script("logs", "nginx", "--errors", "--since", "0s").stdout == ""


@pytest.mark.parametrize("words", ["--since soon", "--since", "-n x", "users orders", "-x"])
def test_logs_refuses_what_it_does_not_understand(stack, words):
    assert stack.script("logs", *words.split(), check=False).returncode == 2


# ---- down and restart


def test_one_service_stops_and_the_others_go_on(stack):
    stack.script("down", "microservice4")
    try:
        gone = stack.call("GET", "/api/service4/health/ready")
        assert gone.status_code == 503
        assert gone.json()["code"] == "unavailable"
        assert stack.call("GET", "/api/service2/products").status_code == 200

        status = stack.script("status", check=False)
        assert status.returncode == 1
        assert re.search(r"^microservice4 +- +down", status.stdout, re.M)
    finally:
        stack.script("up")
    assert stack.call("GET", "/api/service4/health/ready").status_code == 200


def test_a_restart_scales_a_service_and_no_request_is_answered_wrongly(stack):
    statuses = {"service2": [], "service3": []}
    done = threading.Event()

    def ask(service):
        while not done.is_set():
            path = f"{stack.url}/api/{service}/health/live"
            statuses[service].append(requests.get(path, timeout=15).status_code)

    clients = [threading.Thread(target=ask, args=(service,)) for service in statuses]
    for client in clients:
        client.start()
    scaled = {**stack.env, "PROCESSES": "3"}
    answer = run(PROJECT / "scripts/restart", "microservice2", env=scaled)
    done.set()
    for client in clients:
        client.join()

    assert answer.returncode == 0, answer.stderr
    assert len(descendants(pid_of(stack, "microservice2"))) == 1 + 3 + 1  # one serves internally
    assert set(statuses["service2"]) <= {200, 503}
    assert set(statuses["service3"]) == {200}

    stack.script("restart", "microservice2", PROCESSES="")  # the default: two again
    assert len(descendants(pid_of(stack, "microservice2"))) == 1 + 2 + 1


def test_erasing_leaves_nothing_of_a_stack(tmp_path):
    env = {**os.environ, "QUARTET_VAR": str(tmp_path / "var")}
    in_library("make_folders; make_secret admin.password", QUARTET_VAR=env["QUARTET_VAR"])
    assert (tmp_path / "var" / "secrets" / "admin.password").exists()

    place = (tmp_path / "var").resolve()
    answer = run(PROJECT / "scripts/down", "--erase", env=env)

    assert answer.returncode == 0, answer.stderr
    assert list(tmp_path.iterdir()) == []
    assert not place.exists()


def test_the_site_that_a_caller_chose_is_a_setting_and_not_the_scripts_own_address():
    said = in_library("chosen_settings", PUBLIC_URL="https://shop.example")

    assert 'PUBLIC_URL="https://shop.example"' in said.stdout.splitlines(), said
