"""The scripts: what they start, stop, tell and refuse, and what they must not touch."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
import requests

from tests.system.front_door import PROJECT, UWSGI, wait_for

SERVICES = ("microservice1", "microservice2", "microservice3", "microservice4")
SCRIPTS = sorted(path for path in (PROJECT / "scripts").iterdir() if path.is_file())
HOST = Path("/usr/local/lib/systemd/system/microservices.target")
POLICY = Path("/usr/sbin/policy-rc.d")
NO_CLUSTER = Path("/etc/postgresql-common/createcluster.d/quartet-installs.conf")

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")


def run(*command, env=None, **options):
    options = {"capture_output": True, "text": True, "timeout": 120, **options}
    return subprocess.run([str(word) for word in command], env=env, **options)


def in_library(text, **env):
    """Run bash after the scripts' own libraries, with these variables."""
    libraries = PROJECT / "scripts" / "lib"
    sources = f'source "{libraries}/common.sh"; source "{libraries}/stack.sh"; '
    return run("bash", "-c", sources + text, env={**os.environ, **env})


def pid_of(stack, name):
    return int((stack.var / "run" / f"{name}.pid").read_text())


def pids(stack):
    names = [*SERVICES, *(f"{service}.worker" for service in SERVICES), "nginx"]
    postmaster = (stack.var / "postgres" / "postmaster.pid").read_text().split()[0]
    return {name: pid_of(stack, name) for name in names} | {"postgresql": int(postmaster)}


def descendants(pid):
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").glob("*/children")
        for child in task.read_text().split()
    ]
    return [pid, *(deeper for child in children for deeper in descendants(child))]


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
        *("start", "stop", "releases", "deploy microservice1", "rollback microservice1"),
        *("migrate microservice1", "scale microservice1 --threads 2", "tls show"),
    ],
)
def test_a_script_that_needs_a_host_says_how_to_get_one(script):
    name, *words = script.split()
    answer = run(PROJECT / "scripts" / name, *words, env=dict(os.environ))

    assert answer.returncode == 1
    assert "scripts/install" in answer.stderr


@pytest.mark.parametrize(
    "script", ["status", "logs", "token", "restart", "dead-letters list", "trace x", "keys list"]
)
def test_a_script_that_needs_a_stack_says_how_to_get_one(script, tmp_path):
    name, *words = script.split()
    env = {**os.environ, "QUARTET_VAR": str(tmp_path / "var")}
    answer = run(PROJECT / "scripts" / name, *words, env=env)

    assert answer.returncode == 1
    assert "scripts/up" in answer.stderr


# ---- up


def test_a_second_up_changes_nothing(stack):
    before = pids(stack)
    mails = len(list((stack.var / "mail").iterdir()))

    answer = stack.script("up")

    assert "Everything is up already." in answer.stdout
    assert pids(stack) == before
    assert len(list((stack.var / "mail").iterdir())) == mails


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


# ---- who runs it, and where


def test_nothing_of_a_stack_runs_as_root(stack):
    for name, pid in pids(stack).items():
        for process in descendants(pid):
            assert Path(f"/proc/{process}").stat().st_uid != 0, name


def test_secrets_are_for_their_owner_alone_and_in_no_log(stack):
    folders = [stack.var / name for name in ("secrets", "keys", "env", "mail", "run")]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}

    secrets = list((stack.var / "secrets").iterdir())
    keys = list((stack.var / "keys").glob("*.pem"))
    assert len(secrets) == 10
    assert len(keys) == 4
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets + keys} == {0o600}
    written = b"".join(log.read_bytes() for log in (stack.var / "log").iterdir())
    for secret in secrets:
        assert secret.read_bytes().strip() not in written


def test_a_role_connects_to_its_own_database_and_to_no_other(stack):
    def connect(role, database):
        password = (stack.var / "secrets" / f"{role}.database").read_text()
        return run(
            *("psql", "-h", (stack.var / "run").resolve(), "-U", role, "-d", database),
            *("-Atc", "SELECT current_user"),
            env={**os.environ, "PGPASSWORD": password},
        )

    for role in SERVICES:
        assert connect(role, role).stdout.strip() == role
        for other in (*SERVICES, "postgres", "template1"):
            if other != role:
                assert "permission denied for database" in connect(role, other).stderr


def test_a_wrong_password_opens_no_database(stack):
    answer = run(
        *("psql", "-h", (stack.var / "run").resolve(), "-U", "microservice1", "-c", "SELECT 1"),
        env={**os.environ, "PGPASSWORD": "wrong"},
    )
    assert "password authentication failed" in answer.stderr


def test_the_cluster_is_durable_and_listens_on_no_port(stack):
    password = (stack.var / "secrets" / "microservice1.database").read_text()
    settings = ("fsync", "full_page_writes", "data_checksums", "listen_addresses", "jit")
    answer = run(
        *("psql", "-h", (stack.var / "run").resolve(), "-U", "microservice1", "-At"),
        *(word for name in settings for word in ("-c", f"SHOW {name}")),
        env={**os.environ, "PGPASSWORD": password},
    )
    assert answer.stdout.splitlines() == ["on", "on", "on", "", "off"]


@pytest.fixture
def deep_folder():
    """A path of more than 120 characters, with a space, that everybody may enter."""
    home = Path(tempfile.mkdtemp(prefix="quartet deep "))
    home.chmod(0o755)
    yield home / ("d" * 60) / ("e" * 60) / "var"
    shutil.rmtree(home)


def test_sockets_fit_into_their_107_bytes_however_deep_the_checkout(deep_folder):
    answer = in_library('make_folders; echo "$RUN"', QUARTET_VAR=str(deep_folder))

    folder = Path(answer.stdout.strip())
    assert len(f"{folder}/microservice1.sock") <= 107
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (deep_folder / "run").resolve() == folder
    folder.rmdir()


@pytest.mark.parametrize("trick", ["open to all", "a link"])
def test_a_socket_folder_that_somebody_else_made_is_refused(deep_folder, trick, tmp_path):
    asked = in_library('make_folders; echo "$RUN"', QUARTET_VAR=str(deep_folder))
    folder = Path(asked.stdout.strip())
    folder.rmdir()
    if trick == "a link":
        folder.symlink_to(tmp_path)
    else:
        folder.mkdir()
        folder.chmod(0o777)

    answer = in_library("make_folders", QUARTET_VAR=str(deep_folder))

    folder.unlink() if folder.is_symlink() else folder.rmdir()
    assert answer.returncode == 1
    assert "would not be safe" in answer.stderr


# ---- the libraries


def test_the_environment_is_made_from_the_systems_python():
    python = Path(sys.executable)
    configuration = (python.parents[1] / "pyvenv.cfg").read_text()
    assert "home = /usr/bin" in configuration
    assert python.resolve().stat().st_mode & stat.S_IROTH


def test_uwsgi_was_compiled_with_routing_for_the_python_that_runs_it():
    flags = run(UWSGI, "--cflags").stdout
    assert "-DUWSGI_PCRE2" in flags
    assert "-DUWSGI_ROUTING" in flags

    version = ".".join(str(part) for part in sys.version_info[:3])
    assert run(UWSGI, "--python-version").stdout.strip() == version


def test_uwsgi_is_never_taken_from_the_cache_of_pip():
    answer = in_library("""
        VENV=$(mktemp -d)
        mkdir "$VENV/bin"
        printf '#!/bin/sh\\necho "$@"\\n' >"$VENV/bin/python"
        chmod +x "$VENV/bin/python"
        _compile_uwsgi""")
    assert "--no-cache-dir" in answer.stdout
    assert "--require-hashes" in answer.stdout


# ---- packages


@pytest.fixture
def apt(tmp_path):
    """A stand-in for apt-get, first in the path. Returns the folder and what apt-get is to do."""

    def make(commands):
        program = tmp_path / "apt-get"
        program.write_text(f"#!/bin/bash\n{commands}\n")
        program.chmod(0o755)
        return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    return make


@only_root
def test_while_packages_are_installed_neither_server_starts_and_afterwards_all_is_as_before(apt):
    before = POLICY.read_bytes() if POLICY.exists() else None
    env = apt(f"""
        {POLICY} nginx start; echo "nginx $?"
        {POLICY} postgresql@15-main start; echo "postgresql $?"
        {POLICY} ssh restart; echo "ssh $?"
        cat {NO_CLUSTER}""")

    answer = run(PROJECT / "scripts/lib/install-packages", "quartet-no-such-package", env=env)

    assert answer.returncode == 0
    assert "nginx 101" in answer.stdout
    assert "postgresql 101" in answer.stdout
    assert "create_main_cluster = false" in answer.stdout
    if before is None:
        assert "ssh 0" in answer.stdout
    assert (POLICY.read_bytes() if POLICY.exists() else None) == before
    assert not NO_CLUSTER.exists()


@only_root
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_installation_leaves_no_policy_behind(apt, end):
    before = POLICY.exists()
    process = subprocess.Popen(
        [PROJECT / "scripts/lib/install-packages", "quartet-no-such-package"],
        env=apt("sleep 30"),
        start_new_session=True,
        # a test run in the background has SIGINT ignored, and hands that down
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(NO_CLUSTER.exists)
    os.killpg(process.pid, end)

    assert process.wait(timeout=10) != 0
    assert not NO_CLUSTER.exists()
    assert POLICY.exists() == before


# ---- status, token, logs


def test_status_shows_every_part_with_its_memory_within_600_mebibytes(stack):
    stack.script("restart")  # that is what it takes to be there; load takes more
    answer = stack.script("status")

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


def test_a_token_for_nobody_is_refused(stack):
    answer = stack.script("token", "nobody-of-this-name", check=False)
    assert answer.returncode != 0
    assert answer.stdout == ""


def test_logs_shows_one_service_with_its_worker(stack):
    stack.call("GET", "/api/service2/products", headers={"X-Request-ID": "seen-in-the-log"})

    assert "seen-in-the-log" in stack.script("logs", "microservice2", "-n", "200").stdout
    assert "seen-in-the-log" in stack.script("logs", "nginx", "-n", "200").stdout
    assert "seen-in-the-log" not in stack.script("logs", "microservice3", "-n", "200").stdout
    assert stack.script("logs", "microservice9", check=False).returncode == 2


# ---- trace


def place_order(stack, token, **headers):
    """Order one of the product that scripts/up sells. Returns the answer."""
    [product] = stack.call("GET", "/api/service2/products?sku=WELCOME-LAMP").json()
    line = {"product_id": product["id"], "quantity": 1}
    return stack.call(
        "POST", "/api/service3/orders", token=token, json={"items": [line]}, headers=headers
    )


def traced(stack, request_id):
    """Return what scripts/trace tells, with single spaces."""
    return re.sub(" +", " ", stack.script("trace", request_id, check=False).stdout)


def test_trace_follows_a_request_through_everything_in_order(stack, admin_token):
    placed = place_order(stack, admin_token)
    request_id = placed.headers["X-Request-ID"]
    told = "microservice3 worker delivered lane=microservice4"
    wait_for(lambda: told in traced(stack, request_id))

    heading, _, columns, *rows = stack.script("trace", request_id).stdout.splitlines()
    assert heading.startswith(f"Request {request_id}, 20")
    assert columns.split() == ["AFTER", "TOOK", "WHERE", "WHAT"]
    after = [int(row.split()[0]) for row in rows]
    assert after == sorted(after)
    assert after[0] == 0
    steps = [" ".join(re.split(" {2,}| ms", row)[-2:]) for row in rows]
    in_order = [
        "nginx POST /api/service3/orders: 201",
        "microservice3 POST /orders: 201, for user:1",
        "nginx, internal PUT /api/service2/internal/reservations",
        "microservice2 PUT /internal/reservations/<int:order_id>: 200, for service:microservice3",
        "microservice4 POST /internal/events: 204, for service:microservice3",
    ]
    places = [next(i for i, step in enumerate(steps) if step.startswith(it)) for it in in_order]
    assert places == sorted(places)


def test_trace_finds_events_that_went_out_with_others(stack, admin_token):
    """In the round that follows the first event: all that came within its second."""
    placed = [place_order(stack, admin_token) for _ in range(4)]
    last = placed[-1].headers["X-Request-ID"]
    wait_for(lambda: " batch=" in traced(stack, last))

    assert "microservice4 POST /internal/events: 204" in traced(stack, last)


def test_trace_says_what_went_wrong_where(stack):
    answer = stack.call("GET", "/api/service2/products/987654321")

    told = traced(stack, answer.json()["request_id"])
    assert "microservice2 GET /products/<int:product_id>: 404" in told


@pytest.mark.parametrize(
    ("words", "status"), [(["no-such-request"], 1), ([".*"], 2), ([], 2), (["a", "b"], 2)], ids=str
)
def test_trace_of_nothing(stack, words, status):
    assert stack.script("trace", *words, check=False).returncode == status


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
    assert len(descendants(pid_of(stack, "microservice2"))) == 4
    assert set(statuses["service2"]) <= {200, 503}
    assert set(statuses["service3"]) == {200}

    stack.script("up")  # without PROCESSES: two again
    assert len(descendants(pid_of(stack, "microservice2"))) == 3


# ---- the PostgreSQL of the tests


def test_a_throw_away_postgresql_starts_once_and_leaves_nothing(tmp_path):
    server = PROJECT / "scripts/lib/test-postgres"
    try:
        folder = Path(run(server, "start", tmp_path).stdout.strip())
        again = run(server, "start", tmp_path).stdout.strip()
        asked = run("psql", "-h", folder, "-U", "postgres", "-Atc", "SHOW listen_addresses")
        assert again == str(folder)
        assert asked.returncode == 0
    finally:
        run(server, "stop", tmp_path)
    assert not folder.exists()
    assert list(tmp_path.iterdir()) == []


def test_erasing_leaves_nothing_of_a_stack(tmp_path):
    env = {**os.environ, "QUARTET_VAR": str(tmp_path / "var")}
    in_library("make_folders; make_secret admin.password", QUARTET_VAR=env["QUARTET_VAR"])
    assert (tmp_path / "var" / "secrets" / "admin.password").exists()

    place = (tmp_path / "var").resolve()
    answer = run(PROJECT / "scripts/down", "--erase", env=env)

    assert answer.returncode == 0, answer.stderr
    assert list(tmp_path.iterdir()) == []
    assert not place.exists()


# ---- dead letters


@pytest.fixture
def bury(stack):
    """Returns a function: an event that microservice4 has refused for good. It returns its id."""

    def add(subject):
        answer = in_library(
            f"""
            open_stack
            as_superuser microservice1 --tuples-only --no-align <<SQL
            INSERT INTO outbox (lane, subject, message, request_id, state, attempts, last_error)
            VALUES ('microservice4', '{subject}', '{{"specversion": "1.0", "id": "{subject}",
                    "source": "/microservice1", "type": "user.deleted", "subject": "{subject}",
                    "time": "2026-01-31T09:30:00Z", "data": {{"user_id": 987654}}}}',
                    'test', 'dead', 3, 'microservice4 answered invalid')
         RETURNING id;
SQL""",
            **stack.env,
        )
        return answer.stdout.split()[0]

    return add


def test_dead_letters_are_shown_replayed_and_discarded(stack, bury):
    def ask(*words, check=True):
        return stack.script("dead-letters", *words, check=check).stdout

    assert ask("list") == "There are no dead letters.\n"
    first, second, third, fourth = (bury(f"user/{number}") for number in range(4))

    table = ask("list").splitlines()
    assert table[0].split() == [
        "SERVICE",
        "ID",
        "FOR",
        "SUBJECT",
        "EVENT",
        "TRIES",
        "SINCE",
        "REASON",
    ]
    assert table[1].split()[:6] == [
        *("microservice1", first, "microservice4", "user/0", "user.deleted", "3")
    ]
    assert table[1].endswith("microservice4 answered invalid")
    assert len(table) == 5
    assert ask("list", "microservice2") == "There are no dead letters.\n"
    assert "microservice1 has 4 dead letters" in stack.script("status").stdout
    assert json.loads(ask("show", "microservice1", first))["message"]["type"] == "user.deleted"

    assert ask("replay", "microservice1", first, second).splitlines() == [
        f"microservice1 {first}: replayed.",
        f"microservice1 {second}: replayed.",
    ]
    assert ask("discard", "microservice1", third) == f"microservice1 {third}: discarded.\n"
    assert ask("discard", "--all") == f"microservice1 {fourth}: discarded.\n"
    assert ask("list") == "There are no dead letters.\n"

    gone = stack.script("dead-letters", "replay", "microservice1", first, check=False)
    assert (gone.returncode, gone.stderr) == (1, f"microservice1 has no dead letter {first}.\n")
    left = "open_stack; as_superuser microservice1 -At <<<'SELECT count(*) FROM outbox'"
    wait_for(lambda: in_library(left, **stack.env).stdout == "0\n")


def test_a_service_that_is_down_is_named_and_the_others_are_asked(stack, bury):
    letter = bury("user/4")
    stack.script("down", "microservice2")
    try:
        answer = stack.script("dead-letters", "list", check=False)
    finally:
        stack.script("up")

    assert answer.returncode == 1
    assert answer.stderr == "microservice2 answered 503 Service Temporarily Unavailable.\n"
    assert letter in answer.stdout
    stack.script("dead-letters", "discard", "microservice1", letter)


@pytest.mark.parametrize(
    "words",
    [(), ("bury",), ("show",), ("show", "microservice1"), ("replay", "microservice1"), ("replay",)]
    + [("discard", "microservice1", "7 OR 1"), ("discard", "microservice9", "7")],
    ids=str,
)
def test_dead_letters_wants_to_know_exactly_which(words):
    assert run(PROJECT / "scripts/dead-letters", *words).returncode == 2
