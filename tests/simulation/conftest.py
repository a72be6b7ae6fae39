import importlib
from contextvars import Context

import psycopg2
import pytest

from chassis import guard, http, testing, tracing, worker
from chassis.settings import SERVICES
from tests.administrators import register_administrator
from tests.simulation.world import World


@pytest.fixture(scope="session")
def _shop(own_url, keys, tmp_path_factory):
    """The services and their applications, which take longer to make than to use."""
    mail = f"file://{tmp_path_factory.mktemp('mail')}"
    services = {
        name: testing.make_service(name, own_url(name), keys, smtp_url=mail) for name in SERVICES
    }
    apps = {
        name: importlib.import_module(f"{name}.app").create_app(service)
        for name, service in services.items()
    }
    yield services, apps
    for service in services.values():
        service.database.close()


@pytest.fixture(scope="session")
def _query(databases):
    """Returns a function: the rows of a statement in a service's database, over one connection."""
    connections = {name: psycopg2.connect(databases(name)) for name in SERVICES}

    def execute(name, sql, values):
        with connections[name].cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    def query(name, sql, **values):
        return Context().run(execute, name, sql, values)  # no request's deadline is ours

    for connection in connections.values():
        connection.autocommit = True
    yield query
    for connection in connections.values():
        connection.close()


@pytest.fixture
def world_of(_shop, _query, databases, keys, monkeypatch):
    """Returns a function from a seed to a World on empty databases.

    In it no time passes by itself, so that a seed tells the same story on every machine.
    """
    monkeypatch.setattr(http, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(http, "CALL_SECONDS", 600)
    monkeypatch.setattr(tracing, "REQUEST_SECONDS", 600)
    monkeypatch.setattr(guard, "OPEN_SECONDS", 600)
    monkeypatch.setattr(worker, "retry_after", lambda _attempts: 600)

    def make(seed):
        for name in SERVICES:
            testing.empty_database(databases(name))
        register_administrator(databases("microservice1"))
        world = World(seed, *_shop, _query, keys)
        world.furnish()
        return world

    return make
