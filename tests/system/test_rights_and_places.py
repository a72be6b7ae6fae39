"""Who runs a stack, what is whose, and where its sockets are."""

import os
import shutil
import stat
import tempfile
import threading
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
    assert len(secrets) == 14
    assert len(keys) == 4
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets + keys} == {0o600}
    written = b"".join(log.read_bytes() for log in (stack.var / "log").iterdir())
    for secret in secrets:
        assert secret.read_bytes().strip() not in written


def test_a_role_connects_to_its_own_database_and_to_no_other(stack):
    def connect(role, database):
        secret = f"{role.removesuffix('_owner')}.{'owner' if '_' in role else 'database'}"
        password = (stack.var / "secrets" / secret).read_text()
        return run(
            *("psql", "-h", (stack.var / "run").resolve(), "-U", role, "-d", database),
            *("-Atc", "SELECT current_user"),
            env={**os.environ, "PGPASSWORD": password},
        )

    for service in SERVICES:
        for role in (service, f"{service}_owner"):
            assert connect(role, service).stdout.strip() == role
            for other in {*SERVICES, "postgres", "template1"} - {service}:
                assert "permission denied for database" in connect(role, other).stderr


AS_BEFORE = """
open_stack
as_superuser microservice3 <<'SQL'
ALTER DATABASE microservice3 OWNER TO microservice3;
REASSIGN OWNED BY microservice3_owner TO microservice3;
SQL
"""
CONVERT = """
open_stack
as_superuser microservice3 <<<"BEGIN; LOCK TABLE public.orders IN SHARE MODE; SELECT pg_sleep(1);" &
sleep 0.5
make_databases
migrate microservice3
make_databases
migrate microservice3
"""
OWNERS = """
open_stack
as_superuser microservice3 --tuples-only --no-align <<'SQL'
SELECT DISTINCT relowner::regrole FROM pg_class WHERE relnamespace = 'public'::regnamespace;
SELECT datdba::regrole FROM pg_database WHERE datname = 'microservice3';
SELECT has_table_privilege('microservice3', 'public.audit_entries', 'DELETE');
SQL
"""


def test_tables_that_their_service_owned_are_given_to_an_owner_while_it_works(stack, admin_token):
    in_library(AS_BEFORE, **stack.env)
    assert in_library(OWNERS, **stack.env).stdout.split() == ["microservice3", "microservice3", "t"]
    codes, ended = set(), threading.Event()

    def ask():
        while not ended.is_set():
            answer = stack.call("GET", "/api/service3/orders", token=admin_token)
            codes.add(answer.status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        converted = in_library(CONVERT, **stack.env)
    finally:
        ended.set()
        asking.join()

    assert converted.returncode == 0, converted.stderr
    assert "microservice3: nothing to apply" in converted.stdout.splitlines()[-1]
    owner = "microservice3_owner"
    assert in_library(OWNERS, **stack.env).stdout.split() == [owner, owner, "f"]
    assert codes == {200}


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
