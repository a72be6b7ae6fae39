"""What scripts/up and scripts/test install: libraries, uWSGI, packages, a PostgreSQL."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.front_door import PROJECT, UWSGI, wait_for
from tests.system.running import in_library, run

POLICY = Path("/usr/sbin/policy-rc.d")
NO_CLUSTER = Path("/etc/postgresql-common/createcluster.d/quartet-installs.conf")
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")

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
