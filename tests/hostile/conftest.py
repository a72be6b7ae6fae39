"""All four services for callers who mean harm: in this process, or as a whole running stack."""

import importlib
from pathlib import Path

import pytest

from chassis import testing
from chassis.settings import SERVICES, prefix_of


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


@pytest.fixture(scope="module")
def unharmed(stack):
    """After the module's tests the same processes are there, ready, and met nothing unforeseen."""
    before = _processes(stack), _mistakes(stack)
    yield
    assert (_processes(stack), _mistakes(stack)) == before
    for service in SERVICES:
        answer = stack.call("GET", f"{prefix_of(service)}/health/ready")
        assert answer.json() == {"status": "ready"}


def _processes(stack):
    """Return {pid file: the process in it and its children}."""
    pids = {file.name: file.read_text().strip() for file in stack.var.glob("run/*.pid")}
    return {
        name: (pid, Path(f"/proc/{pid}/task/{pid}/children").read_text())
        for name, pid in pids.items()
    }


def _mistakes(stack):
    """Return what the logs tell of ends and mistakes that nobody foresaw."""
    signs = ("unforeseen error", "DAMN", "HARAKIRI", "[alert]", "[crit]", "[emerg]")
    return [
        line
        for log in sorted(stack.var.glob("log/*.log"))
        for line in log.read_text(errors="replace").splitlines()
        if any(sign in line for sign in signs)
    ]


@pytest.fixture(scope="module")
def unregistered_admin(stack):
    """A token of an administrator whose account no other test can change, because there is none."""
    return testing.user_token(stack.var / "keys", 10**15, "admin")


@pytest.fixture
def admin_header(unregistered_admin):
    return f"Authorization: Bearer {unregistered_admin}"
