"""Steps of scripts: a sign of life while they work, and the cause if they fail."""

import os
import subprocess
from pathlib import Path

import pytest

COMMON = Path(__file__).resolve().parents[3] / "scripts" / "lib" / "common.sh"


def bash(text, *prefix, **environment):
    return subprocess.run(
        [*prefix, "bash", "-c", f'source "{COMMON}"\n{text}'],
        **{"env": {**os.environ, **environment}, "capture_output": True, "text": True},
        timeout=20,
    )


def test_a_long_step_says_first_how_long_it_takes_and_leaves_nothing_behind():
    """A ticker that lived on would hold standard output, and this call would wait for it."""
    done = bash('long_step "half a minute" "Packages" "no hint" true')

    first, last = done.stdout.splitlines()
    assert first.strip() == "Packages: this takes half a minute"
    assert last.endswith("s  Packages")


def test_a_long_step_counts_the_seconds_on_a_terminal():
    text = f'source "{COMMON}"; long_step "a second" "Packages" "no hint" sleep 1.5'
    done = subprocess.run(
        ["script", "--quiet", "--command", f"bash -c '{text}'", "/dev/null"],
        capture_output=True,
        text=True,
        timeout=20,
    )

    assert "1.0 s  Packages ..." in done.stdout or "1.1 s  Packages ..." in done.stdout


def test_a_long_step_that_fails_ends_the_script():
    done = bash('long_step "a second" "Packages" "call the plumber." false; echo not reached')

    assert done.returncode == 1
    assert "Packages: FAILED" in done.stderr
    assert "not reached" not in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a disk that is full")
def test_a_step_that_had_no_room_for_its_log_names_the_full_disk(tmp_path):
    mount = f"mount -t tmpfs -o size=16k tmpfs {tmp_path}"
    fill = f"head -c 99999 /dev/zero >{tmp_path}/full || true"
    step = 'work() { echo "no space" >&2; false; }; step "Packages" "see above." work'

    done = bash(f"{mount}\n{fill}\n{step}", "unshare", "--mount", TMPDIR=str(tmp_path))

    assert done.returncode == 1
    assert f"| The disk at {tmp_path} is full." in done.stderr


@pytest.mark.parametrize("name", ["microservice3", "service3", "orders"])
def test_a_service_has_three_names(name):
    assert bash(f"service_named {name}").stdout == "microservice3\n"


@pytest.mark.parametrize("name", ["order", "microservice5", "service", "--help", "''", "'*'"])
def test_another_name_is_refused_with_all_there_are(name):
    done = bash(f"services_named microservice1 {name}")

    assert done.returncode == 2
    assert "microservice1 (users), microservice2 (products), microservice3 (orders)" in done.stderr
