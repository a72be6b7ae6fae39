import importlib

import pytest

from chassis import http, testing
from chassis.settings import SERVICES
from tests.simulation.world import World


@pytest.fixture(scope="session")
def _shop(databases, keys, tmp_path_factory):
    """The services and their applications, which take longer to make than to use."""
    mail = f"file://{tmp_path_factory.mktemp('mail')}"
    services = {
        name: testing.make_service(name, databases(name), keys, smtp_url=mail) for name in SERVICES
    }
    apps = {
        name: importlib.import_module(f"{name}.app").create_app(service)
        for name, service in services.items()
    }
    yield services, apps
    for service in services.values():
        service.database.close()


@pytest.fixture
def world_of(_shop, databases, keys, monkeypatch):
    """Returns a function from a seed to a World on empty databases."""
    monkeypatch.setattr(http, "PAUSE_SECONDS", 0)

    def make(seed):
        for name in SERVICES:
            testing.empty_database(databases(name))
        world = World(seed, *_shop, keys)
        world.furnish()
        return world

    return make
