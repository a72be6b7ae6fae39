"""What tests may ask for: a private PostgreSQL, keys, and services on databases of their own."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import settings

from chassis import testing
from chassis.guard import guards
from chassis.settings import with_role
from tests.browser import browser, new_page, page  # noqa: F401 - fixtures
from tests.stack import (  # noqa: F401 - fixtures: one stack for all tests
    _fresh_admin_token,
    admin_token,
    stack,
)

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile("quartet", deadline=None)  # the computer may be others' for a moment
settings.load_profile("quartet")


@pytest.fixture(scope="session", autouse=True)
def _metrics_folder(tmp_path_factory):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(tmp_path_factory.mktemp("metrics"))


@pytest.fixture(scope="session")
def postgres():
    """A private PostgreSQL for this run. Returns a function from a database's name to its URL."""
    with tempfile.TemporaryDirectory(prefix="quartet-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = ROOT / "scripts/lib/test-postgres"
        sockets = subprocess.run(
            [server, "start", folder], check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()
        try:
            yield lambda name: f"postgresql://postgres@/{name}?host={quote(sockets, safe='')}"
        finally:
            subprocess.run([server, "stop", folder], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """A folder with the keys of all services."""
    return testing.make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def databases(postgres):
    """Makes the database of a service when it is first asked for. Returns its superuser's URL."""
    made = set()

    def database_of(name):
        if name not in made:
            testing.make_database(postgres("postgres"), name, postgres(name))
            made.add(name)
        return postgres(name)

    return database_of


@pytest.fixture(scope="session")
def own_url(databases):
    """Returns a function from a service's name to the URL by which that service itself connects."""
    return lambda name: with_role(databases(name), name)


@pytest.fixture(scope="session")
def _services(own_url, keys, tmp_path_factory):
    made = {}

    def service_of(name):
        if name not in made:
            images = tmp_path_factory.mktemp("images")
            made[name] = testing.make_service(name, own_url(name), keys, images_dir=images)
        return made[name]

    return service_of


@pytest.fixture
def fresh_service(_services, databases):
    """Returns a function from a name to that service, with an empty database."""

    def fresh(name):
        testing.empty_database(databases(name))
        service = _services(name)
        shutil.rmtree(service.settings.images_dir, ignore_errors=True)
        service.guards = guards(service.settings.threads)  # no circuit that an earlier test opened
        return service

    return fresh


@pytest.fixture
def supervisor(tmp_path):
    """What systemd is to a worker: a socket on which it hears that all is well."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(3)
        listening.bind(str(tmp_path / "notify"))
        yield listening
