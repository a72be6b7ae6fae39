"""Scripts wait for each other, but not for ever, and not for users who may change nothing."""

import os
import subprocess
from pathlib import Path

import pytest

COMMON = Path(__file__).resolve().parents[3] / "scripts" / "lib" / "common.sh"
NOBODY = 65534


def bash(text, **variables):
    return subprocess.run(
        ["bash", "-c", f'source "{COMMON}"\n{text}'],
        **{"env": {**os.environ, **variables}, "capture_output": True, "text": True},
    )


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script"
    path.write_text(
        f'#!/usr/bin/env bash\nsource "{COMMON}"\n_end() {{ echo "ended with $?"; }}\n'
        f'trap _end EXIT\none_at_a_time_in "{tmp_path}" "$@"\necho "does its work"\n'
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def lock_file(tmp_path):
    return Path(bash(f'lock_file "{tmp_path}"').stdout)


@pytest.fixture
def held(lock_file):
    with subprocess.Popen(["flock", lock_file, "sleep", "60"]) as holder:
        while subprocess.run(["flock", "--nonblock", lock_file, "true"]).returncode == 0:
            pass
        yield holder
        subprocess.run(["pkill", "--parent", str(holder.pid)])


def test_a_lock_lies_where_no_other_user_can_open_it(lock_file):
    folder = lock_file.parent.stat()

    assert (folder.st_uid, folder.st_mode & 0o777) == (os.geteuid(), 0o700)


def test_different_folders_have_different_locks():
    names = ["/opt/www", "/opt/www/microservice1", "/x" * 500, "/y" * 500]

    files = {bash(f'lock_file "{name}"').stdout for name in names}

    assert len(files) == len(names)
    assert all(len(Path(file).name) < 255 for file in files)
    assert any(file.endswith("/opt-www-microservice1.lock") for file in files)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try it as another user")
def test_another_user_holds_up_no_script(script):
    folder = script.parent
    for place in (folder, *folder.parents):
        place.chmod(place.stat().st_mode | 0o055)

    with subprocess.Popen(["flock", folder, "sleep", "60"], user=NOBODY) as holder:
        while subprocess.run(["flock", "--nonblock", folder, "true"]).returncode == 0:
            pass
        done = subprocess.run([script], capture_output=True, text=True, timeout=10)
        subprocess.run(["pkill", "--parent", str(holder.pid)])

    assert "does its work" in done.stdout
    assert "waiting" not in done.stderr


def test_a_wait_for_a_lock_has_an_end_that_names_the_holder(script, held):
    done = subprocess.run(
        [script],
        **{"env": {**os.environ, "QUARTET_LOCK_WAIT_SECONDS": "1"}, "timeout": 20},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "waiting up to 1 s" in done.stderr
    assert f"still being changed by process {held.pid} (flock " in done.stderr
    assert done.stdout == "ended with 1\n"


def test_a_folder_of_locks_that_another_user_made_is_refused(tmp_path):
    text = f'mkdir() {{ :; }}; stat() {{ echo "12345 700"; }}; lock_file "{tmp_path}"'

    done = bash(text)

    assert done.returncode == 1
    assert "mode 700" in done.stderr
