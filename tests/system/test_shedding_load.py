"""A service whose listen queue is half full: the real Nginx and uWSGI, a queue of 16 places."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.system.front_door import PROJECT, FrontDoor, UwsgiService, wait_for

BUSY = """
import time
import flask
from chassis import problems, shedding, tracing

app = flask.Flask("busy")
for part in (tracing, problems, shedding):
    part.init_app(app)

@app.get("/slow")
def slow():
    time.sleep(1.5)
    return "served"

@app.get("/products")
@app.get("/health/live")
@app.get("/internal/events")
def quick():
    return "served"
"""


@pytest.fixture
def door(tmp_path):
    door = FrontDoor(tmp_path / "door")
    (tmp_path / "door").mkdir()
    door.start()
    service = UwsgiService(tmp_path, door.sockets, BUSY)
    service.start("--pythonpath", PROJECT, "--listen", "16", "--processes", "1", "--threads", "2")
    wait_for(lambda: service.has_loaded(times=1), seconds=30)
    yield door
    service.stop()
    door.stop()


def test_what_can_wait_is_refused_while_half_of_the_queue_waits(door):
    def ask(path, port=None):
        return door.ask("GET", f"/api/service1{path}", port=port)

    with ThreadPoolExecutor(20) as clients:
        slow = [clients.submit(ask, "/slow") for _ in range(2)]
        time.sleep(0.5)
        health = clients.submit(ask, "/health/live")
        event = clients.submit(ask, "/internal/events", door.internal_port)
        products = [clients.submit(ask, "/products") for _ in range(12)]

    assert [answer.result().status for answer in (*slow, health, event)] == [200] * 4
    refused = [answer.result() for answer in products if answer.result().status != 200]
    assert refused
    for answer in refused:
        assert (answer.status, answer.json["code"]) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"
    wait_for(lambda: ask("/products").status == 200, seconds=2)
