"""What is answered while more waits than can be served in time."""

import flask
import pytest

from chassis import problems, shedding, testing, tracing


class Queue:
    """A listen queue of any length; `looks` counts who asked."""

    def __init__(self):
        self.waiting, self.looks = 0, 0

    def __call__(self):
        self.looks += 1
        return self.waiting, 1024


@pytest.fixture
def queue():
    return Queue()


@pytest.fixture
def app(queue):
    app = flask.Flask("shedding")
    tracing.init_app(app)
    problems.init_app(app)
    shedding.init_app(app, queue)
    for path in ("/products", "/health/live", "/internal/events"):
        app.add_url_rule(path, path, lambda: "served")
    return app


@pytest.mark.parametrize(("waiting", "status"), [(0, 200), (511, 200), (512, 503), (1024, 503)])
def test_what_can_wait_is_refused_once_the_queue_is_half_full(app, queue, waiting, status):
    queue.waiting = waiting

    answer = testing.Client(app).get("/products")

    assert answer.status_code == status
    if status == 503:
        assert answer.json["code"] == "unavailable"
        assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("path", "internal"),
    [("/health/live", False), ("/internal/events", True), ("/products", True)],
)
def test_health_and_the_other_services_are_always_served(app, queue, path, internal):
    queue.waiting = 1024

    assert testing.Client(app, internal=internal).get(path).status_code == 200


def test_all_goes_on_when_the_queue_is_shorter(app, queue, monkeypatch):
    monkeypatch.setattr(shedding, "LOOK_SECONDS", 0)
    client = testing.Client(app)
    queue.waiting = 600
    assert client.get("/products").status_code == 503

    queue.waiting = 400
    assert client.get("/products").status_code == 200


def test_one_look_is_good_for_many_requests(app, queue, monkeypatch):
    monkeypatch.setattr(shedding, "LOOK_SECONDS", 60)
    client = testing.Client(app)

    for _ in range(100):
        client.get("/products")

    assert queue.looks == 1


def test_a_queue_that_cannot_be_seen_sheds_nothing(app, queue):
    def unseen():
        raise OSError("no file descriptors left")

    app = flask.Flask("unseen")
    shedding.init_app(app, unseen)
    app.add_url_rule("/products", "products", lambda: "served")

    assert testing.Client(app).get("/products").status_code == 200
