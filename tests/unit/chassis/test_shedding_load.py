"""Which requests are refused while more wait than can be answered in time."""

import time

import flask
import pytest

from chassis import shedding, testing
from chassis.shedding import STANDING_SECONDS, WAIT_SECONDS, Shedder


class Clock:
    """The time module for the Shedder; `pass_on` moves both of its clocks."""

    def __init__(self):
        self._now = time.time()

    def time(self):
        return self._now

    def monotonic(self):
        return self._now

    def pass_on(self, seconds):
        self._now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(shedding, "time", clock)
    return clock


@pytest.fixture
def app():
    app = flask.Flask("shedding")
    app.served = []

    @app.get("/products")
    @app.get("/health/live")
    @app.get("/internal/events")
    def serve():
        app.served.append(flask.request.path)
        return "served"

    app.wsgi_app = Shedder(app.wsgi_app)
    return app


@pytest.fixture
def ask(app, clock):
    """Returns a function: the answer to a request that has waited for so many seconds."""

    def ask(waited, path="/products", *, internal=False, **headers):
        stamp = {"QUARTET_PASSED_ON": f"{clock.time() - waited:.3f}"}
        client = testing.Client(app, internal=internal)
        return client.get(path, environ_base=stamp, headers=headers)

    return ask


@pytest.fixture
def overloaded(ask, clock):
    """The queue has stood for as long as it takes."""
    assert ask(WAIT_SECONDS + 0.1).status_code == 200
    clock.pass_on(STANDING_SECONDS)


def test_a_request_that_waited_too_long_is_refused_before_flask(app, ask, overloaded):
    app.served.clear()

    answer = ask(WAIT_SECONDS + 0.1, **{"X-Request-ID": "mine"})

    assert app.served == []
    assert answer.status_code == 503
    assert answer.content_type == "application/problem+json"
    assert answer.headers["Retry-After"] == "1"
    assert answer.json == {
        "type": "/problems/unavailable",
        "title": "Too many requests are waiting already",
        "status": 503,
        "detail": "Too many requests are waiting already",
        "code": "unavailable",
        "request_id": "mine",
    }


def test_a_request_that_waited_less_is_served_also_in_an_overload(ask, overloaded):
    assert ask(WAIT_SECONDS - 0.1).status_code == 200


def test_after_one_request_in_time_the_overload_is_over(ask, overloaded):
    ask(WAIT_SECONDS - 0.1)

    assert ask(WAIT_SECONDS + 5).status_code == 200


def test_what_waited_for_a_restart_is_served(ask, clock):
    for _ in range(100):
        assert ask(waited=5).status_code == 200
        clock.pass_on(0.9 * STANDING_SECONDS / 100)


def test_a_clock_that_is_stepped_makes_no_overload(ask):
    assert ask(waited=3600).status_code == 200
    assert ask(waited=-3600).status_code == 200


@pytest.mark.parametrize(
    ("path", "internal"),
    [("/health/live", False), ("/internal/events", True), ("/products", True)],
)
def test_health_and_the_other_services_are_always_served(ask, overloaded, path, internal):
    assert ask(60, path, internal=internal).status_code == 200


def test_without_nginx_nothing_is_refused(app, overloaded):
    assert testing.Client(app).get("/products").status_code == 200


def test_a_client_cannot_say_how_long_it_waited(ask, overloaded):
    forged = {"Quartet-Passed-On": "9999999999", "X-Quartet-Passed-On": "9999999999"}

    assert ask(WAIT_SECONDS + 1, **forged).status_code == 503
