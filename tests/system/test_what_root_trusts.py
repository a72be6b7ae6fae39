"""What the run-time user could leave in a stack's folders for root, who calls the scripts."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.stack import ROOT
from tests.system.running import in_library

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to lose")


@pytest.fixture
def precious(tmp_path):
    """What is there once something of the run-time user's has had its way as root."""
    return tmp_path / "ran"


@pytest.fixture
def evil():
    """A folder of the run-time user's, outside of every stack."""
    folder = Path("/tmp/quartet-evil")
    subprocess.run(["install", "-d", "-o", "quartet", folder], check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def replaced(stack):
    """Returns a function that gives a file of the stack other content until the test has ended."""
    files = []

    def replace(name, content):
        file = stack.var / name
        files.append((file, file.read_text()))
        file.write_text(content)

    yield replace
    for file, content in files:
        file.write_text(content)


def test_a_pid_that_is_no_number_is_none(stack, evil, precious, replaced):
    """It would lead out of /proc, and bash would evaluate what is found there."""
    (evil / "cmdline").write_text("microservice1.sock")
    fields = " ".join(f"a[$(touch {precious})]" for _ in range(30))
    (evil / "stat").write_text(f"1 (uwsgi) {fields}")
    (evil / "task/1").mkdir(parents=True)
    (evil / "task/1/children").write_text("")
    replaced("run/microservice1.pid", "../tmp/quartet-evil\n")

    status = stack.script("status", check=False)

    assert status.returncode == 1
    assert "microservice1                 -  down" in status.stdout
    assert not precious.exists()


def test_the_version_of_a_cluster_leads_to_no_program_of_others(stack, evil, precious, replaced):
    (evil / "bin").mkdir()
    for name in ("postgres", "psql"):
        program = evil / "bin" / name
        program.write_text(f"#!/bin/sh\ntouch {precious}\n")
        program.chmod(0o755)
    replaced("postgres/PG_VERSION", "../../../tmp/quartet-evil\n")

    answer = in_library("open_stack; as_superuser postgres <<<'SELECT 1'", **stack.env)

    assert answer.returncode != 0
    assert "holds no number" in answer.stderr
    assert not precious.exists()


def test_root_ends_no_process_by_a_pid_of_the_run_time_user(stack, replaced):
    named = "exec -a microservice1.worker sleep 60"
    with subprocess.Popen(["bash", "-c", named]) as of_root:
        replaced("run/microservice1.worker.pid", f"{of_root.pid}\n")

        in_library(
            'open_stack; stop_process worker "$(worker_pid microservice1)" TERM 1', **stack.env
        )

        assert of_root.poll() is None
        of_root.kill()


def test_erasing_a_stack_follows_no_link(tmp_path, evil):
    var, kept = tmp_path / "var", tmp_path / "kept"
    tmp_path.chmod(0o755)
    kept.mkdir()
    (kept / "file").write_text("root's")
    environment = {**os.environ, "QUARTET_VAR": str(var)}
    in_library("make_folders", QUARTET_VAR=str(var))
    (var / "run").rmdir()
    (var / "run").symlink_to(kept)
    os.lchown(var / "run", *_ids("quartet"))

    subprocess.run([ROOT / "scripts/down", "--erase"], env=environment, check=True)

    assert (kept / "file").exists()
    assert not var.exists()


def _ids(user):
    return [int(subprocess.check_output(["id", flag, user])) for flag in ("-u", "-g")]
