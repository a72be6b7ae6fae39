"""Who runs a stack, what is whose, and where its sockets are."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest

from tests.system.running import SERVICES, descendants, in_library, pids, run


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
