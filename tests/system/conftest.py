"""The front door, before a service of the test's own making."""

import pytest

from tests.system.front_door import Echo, FrontDoor


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    door = FrontDoor(tmp_path_factory.mktemp("door"))
    door.start()
    yield door
    door.stop()


@pytest.fixture
def echo(door):
    echo = Echo(door.sockets / "microservice1.sock")
    yield echo
    echo.close()
