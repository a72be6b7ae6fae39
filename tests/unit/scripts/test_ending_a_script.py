"""What a script has started ends with it, however it is told to, and with its lock."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

COMMON = Path(__file__).resolve().parents[3] / "scripts" / "lib" / "common.sh"
SCRIPT = """#!/usr/bin/env bash
source "{common}"
_work() {{
  touch "{folder}/begun"
  sleep 20
  touch "{folder}/ended"
}}
_several() {{
  _work & step "One of several" "no hint" _work & wait
}}
_main() {{
  one_at_a_time_in "{folder}" "$@"
  attempt step "Some work" "no hint" "$1"
}}
_main "$@"
"""


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive_in(folder):
    return subprocess.run(["pgrep", "-f", str(folder)], stdout=subprocess.DEVNULL).returncode == 0


def lock_is_free(folder):
    find = ["bash", "-c", f'source "{COMMON}"; lock_file "{folder}"']
    file = subprocess.run(find, capture_output=True, text=True, check=True).stdout
    return subprocess.run(["flock", "--nonblock", file, "true"]).returncode == 0


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script"
    path.write_text(SCRIPT.format(common=COMMON, folder=tmp_path))
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("work", ["_work", "_several"])
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_who_ends_it_ends_all_of_it(script, told, work):
    """The process that a caller knows is flock, which waits for the script."""
    running = subprocess.Popen([script, work])
    until((script.parent / "begun").exists)
    assert not lock_is_free(script.parent)

    running.send_signal(told)

    running.wait(timeout=10)
    until(lambda: not alive_in(script.parent))
    assert lock_is_free(script.parent)
    assert not (script.parent / "ended").exists()


def test_a_command_of_a_step_reads_what_the_script_is_given(script):
    script.write_text(f'source "{COMMON}"\nattempt step "Reading" "no hint" grep -q given\n')
    script.write_text(script.read_text() + 'exit "$outcome"\n')

    for text, status in (("given", 0), ("other", 1)):
        done = subprocess.run(["bash", script], input=text, text=True, capture_output=True)
        assert done.returncode == status
