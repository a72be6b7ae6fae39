"""A service of which more is asked than it can answer: the real Nginx and uWSGI."""

import resource
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from benchmarks.flood import Flood
from tests.system.front_door import PROJECT, FrontDoor, UwsgiService, assert_problem, wait_for

SLOW = """
import time
import flask
from chassis import logs, problems, tracing
from chassis.shedding import Shedder

logs.configure("INFO")
app = flask.Flask("slow")
for part in (tracing, problems):
    part.init_app(app)

@app.get("/slow")
def slow():
    time.sleep(0.25)
    return "served"

@app.get("/health/live")
@app.get("/internal/events")
def quick():
    return "served"

app.wsgi_app = Shedder(app.wsgi_app)
"""

QUICK = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


@pytest.fixture
def front_door(tmp_path):
    """Returns a function that opens one before an application. changes: see FrontDoor."""
    started = []

    def open_door(application, changes=None):
        (tmp_path / "door").mkdir()
        door = FrontDoor(tmp_path / "door", changes)
        door.start()
        service = UwsgiService(tmp_path, door.sockets, application)
        service.start("--pythonpath", PROJECT, PROCESSES="1", THREADS="2")
        started.extend((service, door))
        wait_for(lambda: service.has_loaded(times=2), seconds=30)
        door.flask_lines = lambda: service.log.read_text().count('"message":"request"')
        return door

    yield open_door
    for part in started:
        part.stop()


@pytest.fixture
def many_files():
    """As many connections as the system allows this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_waited_too_long_is_refused_before_flask_and_the_rest_is_served(front_door):
    door = front_door(SLOW)

    with ThreadPoolExecutor(62) as clients:
        slow = [clients.submit(door.ask, "GET", "/api/service1/slow") for _ in range(60)]
        wait(slow, timeout=2)
        event = clients.submit(
            door.ask, "GET", "/api/service1/internal/events", port=door.internal_port
        )
    answers = [answer.result() for answer in slow]
    served = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status != 200]

    assert event.result().status == 200
    assert 2 / 0.25 < len(served) < 60
    assert door.flask_lines() == len(served) + 1
    for answer in refused:
        assert_problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "1"
    assert door.ask("GET", "/api/service1/slow").status == 200


def test_what_nginx_has_no_place_for_it_refuses_by_itself_and_not_at_once(front_door):
    door = front_door(SLOW, {"max_conns=250": "max_conns=4"})

    def ask(_number):
        began = time.monotonic()
        return door.ask("GET", "/api/service1/slow"), time.monotonic() - began

    with ThreadPoolExecutor(40) as clients:
        answers = list(clients.map(ask, range(40)))
    refused = [(answer, seconds) for answer, seconds in answers if answer.status != 200]

    assert 4 <= 40 - len(refused) <= 2 * 4 + 2
    assert door.flask_lines() == 40 - len(refused)
    for answer, seconds in refused:
        assert_problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "1"
        assert seconds > 0.2  # else clients that ask again at once take all processors
    assert door.ask("GET", "/api/service1/slow").status == 200


def test_health_is_told_while_nginx_has_no_place(front_door):
    door = front_door(SLOW, {"max_conns=250": "max_conns=1"})
    ended = threading.Event()

    def ask_until_the_end(_number):
        answers = []
        while not ended.is_set():
            answers.append(door.ask("GET", "/api/service1/slow").status)
        return answers

    with ThreadPoolExecutor(40) as clients:
        slow = [clients.submit(ask_until_the_end, number) for number in range(40)]
        time.sleep(1)
        told = [door.ask("GET", "/api/service1/health/live").status for _ in range(10)]
        ended.set()

    assert told == [200] * 10
    assert {status for client in slow for status in client.result()} == {200, 503}


def test_two_thousand_connections_see_no_500_and_no_reset(front_door, many_files):
    door = front_door(QUICK)
    request = b"GET /api/service1/users HTTP/1.1\r\nHost: localhost\r\n\r\n"

    seen = Flood(door.port, request, connections=2_000).run(seconds=3)

    assert seen.outcomes.keys() <= {200, 503}
    assert seen.good > 2_000
