"""All four services for callers who mean harm: in this process, or as a whole running stack."""

import importlib

import pytest

from chassis import testing
from chassis.settings import SERVICES


@pytest.fixture(scope="module")
def network(_services, databases):
    """The four real applications with empty databases, joined: `network.apps` has them by name."""
    network = testing.Network()
    for name in SERVICES:
        service = _services(name)
        testing.empty_database(databases(name))
        service.http_adapter = network
        network.apps[name] = importlib.import_module(f"{name}.app").create_app(service)
    return network
