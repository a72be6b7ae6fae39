"""Settings and ports of a stack: checked before anything starts, and remembered afterwards."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
import requests

from tests.stack import HELD_BY_THE_CALLER, free_ports
from tests.system.front_door import PROJECT
from tests.system.running import descendants, in_library, pid_of, pids, run

HAS_IPV6 = "::1" in in_library("loopback_addresses").stdout


@pytest.fixture
def new_stack(tmp_path):
    """Returns a function: scripts/up with these variables, on a stack that is not there yet."""
    tmp_path.chmod(0o755)
    env = {**os.environ, "QUARTET_VAR": str(tmp_path / "var")}

    def up(*words, **variables):
        return run(PROJECT / "scripts/up", *words, env={**env, **variables})

    yield up
    run(PROJECT / "scripts/down", "--erase", env=env)


@pytest.fixture
def alone(stack):
    """The variables of a shell in which nobody has named the ports of the stack."""
    return {name: value for name, value in stack.env.items() if not name.endswith("_PORT")}


@pytest.fixture
def script(alone):
    """Returns a function: one of the scripts, on the stack, by a shell that names no port."""

    def call(name, *words, **variables):
        return run(PROJECT / "scripts" / name, *words, env={**alone, **variables})

    return call


# ---- checked before anything starts


def test_all_that_is_wrong_is_told_at_once_before_anything_starts(new_stack, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = str(listening.getsockname()[1])
        ports = {"QUARTET_HTTP_PORT": port, "QUARTET_INTERNAL_PORT": "80a"}
        answer = new_stack(**ports, CURRENCY="euro", LOG_LEVEL="debug", PROCESSES="0")

    assert answer.returncode == 1
    first, *reasons = answer.stderr.splitlines()
    assert first.endswith("nothing was started or stopped, because settings are wrong:")
    taken = f"port {port} is taken by another program"
    assert [reason.split()[0] for reason in reasons] == [
        *("QUARTET_HTTP_PORT:", "QUARTET_INTERNAL_PORT", "CURRENCY", "LOG_LEVEL", "PROCESSES")
    ]
    assert taken in reasons[0] and "QUARTET_HTTP_PORT=NUMBER scripts/up" in reasons[0]
    assert "must be a whole number from 1 to 65535, and is '80a'" in reasons[1]
    assert reasons[3].strip() == "LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, and is 'debug'"
    assert not (tmp_path / "var" / "postgres").exists()


@pytest.mark.skipif(not HAS_IPV6, reason="this machine has no ::1")
def test_a_port_that_is_taken_on_the_other_loopback_address_is_taken(new_stack):
    listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    port = str(listening.getsockname()[1])
    with listening:
        answer = new_stack(QUARTET_HTTP_PORT=port)

    assert f"port {port} is taken" in answer.stderr


def test_both_ports_must_differ(new_stack):
    [port] = free_ports(1)
    answer = new_stack(QUARTET_HTTP_PORT=str(port), QUARTET_INTERNAL_PORT=str(port))

    assert answer.returncode == 1
    assert f"must differ, and both are {port}" in answer.stderr


def test_a_wrong_setting_leaves_a_running_stack_as_it_is(stack, script):
    before = pids(stack)

    up = script("up", QUARTET_HTTP_PORT=stack.internal_url.rpartition(":")[2], PROCESSES="65")
    restart = script("restart", CURRENCY="euro")

    assert up.returncode == restart.returncode == 1
    assert "QUARTET_HTTP_PORT and QUARTET_INTERNAL_PORT must differ" in up.stderr
    assert "PROCESSES must be a whole number from 1 to 64" in up.stderr
    assert restart.stderr.count("CURRENCY must be three capital letters") == 1
    assert pids(stack) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--port", "9000"], "QUARTET_HTTP_PORT=9000"),
        (["--port=9000"], "QUARTET_HTTP_PORT=9000"),
        (["--demo"], "Settings are variables"),
        (["orders"], "scripts/restart microservice3"),
        (["everything"], "it takes no arguments"),
    ],
)
def test_what_people_try_is_answered_with_what_to_do(new_stack, words, told):
    answer = new_stack(*words)

    assert answer.returncode == 2
    assert told in answer.stderr


# ---- remembered


def test_other_scripts_find_the_stack_without_its_ports(stack, script, tmp_path):
    assert script("status").returncode == 0
    assert f'"url": "{stack.url}"' in script("status", "--json").stdout
    assert script("dead-letters", "list").returncode == 0
    assert "Everything is up already." in script("up").stdout
    token = script("token").stdout.strip()
    me = stack.call("GET", "/api/service1/users/me", token=token)
    assert me.json()["username"] == "admin"
    file = PROJECT / "scripts/lib/sample-trade.csv"
    (tmp_path / "password").write_text("wrong")
    importer = script("import-trade", file, "--password-file", tmp_path / "password")
    assert f"{stack.url} did not log admin in" in importer.stderr


def test_a_variable_that_differs_is_told_and_does_not_count(script):
    answer = script("status", QUARTET_HTTP_PORT="9", CURRENCY="GBP")

    assert answer.returncode == 0
    assert "QUARTET_HTTP_PORT is 9 in your environment, but this stack uses" in answer.stderr
    assert "CURRENCY is 'GBP' in your environment, but was the default" in answer.stderr
    assert answer.stderr.count("CURRENCY") == 1


def test_a_setting_stays_until_another_or_an_empty_one_takes_its_place(stack, script):
    def processes():
        return len(descendants(pid_of(stack, "microservice2"))) - 2  # the master, and the internal

    assert processes() == 2
    script("restart", "products", PROCESSES="3")
    assert processes() == 3
    kept = script("up")
    assert 'PROCESSES="3" of microservice2' in kept.stdout
    assert "Everything is up already." in kept.stdout

    script("restart", "products", PROCESSES="")
    assert processes() == 2
    assert "PROCESSES" not in script("up").stdout.partition("An empty variable")[0]


@pytest.mark.skipif(not HAS_IPV6, reason="this machine has no ::1")
@pytest.mark.parametrize("url", ["url", "internal_url"])
def test_both_ports_are_answered_on_either_loopback_address(stack, url):
    address = getattr(stack, url).replace("127.0.0.1", "[::1]")

    assert requests.get(f"{address}/api/service2/products", timeout=15).status_code == 200


# ---- what it starts, and what is left of it


@pytest.fixture
def held_by_the_caller(stack):
    """A file that the caller of scripts/up had open."""
    return (stack.var.parent / HELD_BY_THE_CALLER).resolve()


def test_no_process_of_a_stack_holds_what_the_caller_had_open(stack, held_by_the_caller):
    for name, pid in pids(stack).items():
        for process in descendants(pid):
            held = run("readlink", *_descriptors(process)).stdout.split("\n")
            assert str(held_by_the_caller) not in held, name
    keeper = pid_of(stack, "logs")
    assert str(held_by_the_caller) not in run("readlink", *_descriptors(keeper)).stdout.split("\n")


def _descriptors(pid):
    return list(Path(f"/proc/{pid}/fd").iterdir())


@pytest.fixture
def open_folder():
    """One that the run-time user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="quartet-orphans-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def run_on():
    """Returns a function: a process of the run-time user whose errors go to a log of a stack."""
    running = []

    def start(var, log):
        in_library("make_folders", QUARTET_VAR=str(var))
        file = var / "log" / log
        user = "quartet" if os.geteuid() == 0 else None
        file.touch()
        with file.open("a") as errors:
            running.append(subprocess.Popen(["sleep", "60"], stderr=errors, user=user))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_what_runs_on_though_its_folder_was_deleted_is_ended_and_nothing_else(run_on, open_folder):
    own, other = open_folder / "var", open_folder / "other"
    orphan = run_on(own, "microservice1.worker.log")
    spared = [run_on(own, "notes.log"), run_on(other, "microservice1.worker.log")]
    shutil.rmtree(own)
    shutil.rmtree(other)

    env = {**os.environ, "QUARTET_VAR": str(own)}
    down, again = run(PROJECT / "scripts/down", env=env), run(PROJECT / "scripts/down", env=env)

    assert down.returncode == again.returncode == 0
    told = f"{own} was deleted while its stack ran: processes that are still there ended (1)"
    assert told in down.stdout
    assert orphan.wait(timeout=10) != 0
    assert [process.poll() for process in spared] == [None, None]
    assert "Nothing is running" in again.stdout


def test_after_ctrl_c_up_tells_what_runs(new_stack, tmp_path):
    env = {**os.environ, "QUARTET_VAR": str(tmp_path / "var")}
    http, internal = free_ports(2)
    ports = {"QUARTET_HTTP_PORT": str(http), "QUARTET_INTERNAL_PORT": str(internal)}
    with subprocess.Popen(
        [PROJECT / "scripts/up"],
        env={**env, **ports},
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True},
        start_new_session=True,
    ) as up:
        assert any("PostgreSQL" in line for line in up.stdout)
        os.killpg(up.pid, signal.SIGINT)
        told = up.stderr.read()

    assert re.search(r"^Interrupted\. Running: PostgreSQL", told, re.M)
    assert "scripts/up goes on from here; scripts/down stops everything." in told
