"""Calls over a real socket to a neighbour that behaves as badly as the network lets it."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chassis import context, http, testing
from chassis.http import NeighbourUnavailable, RemoteProblem, ServiceClient

products = ServiceClient("microservice2")


class Neighbour(ThreadingHTTPServer):
    """Answers with the next of `answers`: (status, content type, body), or a function."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = []
        self.seen = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def problem(self, status, code):
        body = json.dumps({"code": code, "detail": "no", "lines": [1]})
        self.answers.append((status, "application/problem+json", body))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, self.headers, body))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer(self)
            return
        status, content_type, text = answer
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(text.encode())))
        if 300 <= status < 400:
            self.send_header("Location", self.server.url + "/elsewhere")
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_PUT = do_POST = do_DELETE = handle_any

    def log_message(self, *_arguments):
        """Quiet."""


def hang_up(handler):
    handler.close_connection = True
    handler.connection.close()


@pytest.fixture
def neighbour():
    server = Neighbour()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _as_orders(neighbour, tmp_path):
    keys = testing.make_keys(tmp_path)
    service = testing.make_service("microservice3", "", keys, internal_url=neighbour.url)
    with service.active():
        yield
    service.http_adapter.close()


def ok(text="{}"):
    return (200, "application/json", text)


def test_a_call_says_who_calls_for_which_request_and_how_long_it_may_take(neighbour, tmp_path):
    neighbour.answers = [ok()]
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    with context.work(request="my-request", trace=trace, seconds=1):
        products.get("/products/1")

    [(_, path, headers, _)] = neighbour.seen
    assert path == "/api/service2/products/1"
    assert headers["Authorization"].startswith("Bearer ")
    assert headers["X-Request-ID"] == "my-request"
    assert headers["traceparent"].split("-")[1] == "0af7651916cd43dd8448eb211c80319c"
    assert 0 < float(headers["X-Request-Timeout"]) <= 1


def test_amounts_arrive_exactly(neighbour):
    neighbour.answers = [ok('{"price": 29.90}')]

    assert str(products.get("/products/1")["price"]) == "29.90"


@pytest.mark.parametrize(
    "answer",
    [
        (500, "application/json", "{}"),
        (502, "text/html", "<html>"),
        (503, "application/problem+json", '{"code": "unavailable"}'),
        (404, "application/problem+json", '{"code": "no_route"}'),
        (404, "text/html", "<html>"),
        (408, "application/problem+json", '{"code": "request_timeout"}'),
        (425, "application/problem+json", '{"code": "too_early"}'),
        (429, "application/problem+json", '{"code": "too_many"}'),
        (409, "application/json", '{"error": "not ours"}'),
        (409, "application/json", '["not ours"]'),
        (409, "application/json", '{"code": 7}'),
        (302, "application/json", "{}"),
        (200, "text/html", "<html>"),
        (200, "application/json", '{"a": 1, "a": 2}'),
        hang_up,
    ],
    ids=str,
)
def test_what_is_no_definite_answer_is_unknown(neighbour, answer):
    neighbour.answers = [answer]

    with pytest.raises(NeighbourUnavailable):
        products.get("/products/1")


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "not_found"), (409, "out_of_stock"), (410, "gone"), (412, "stale"), (422, "invalid")],
)
def test_a_refusal_in_our_shape_is_definite_and_not_repeated(neighbour, status, code):
    neighbour.problem(status, code)

    with pytest.raises(RemoteProblem) as refusal:
        products.put("/internal/reservations/1", {})

    assert (refusal.value.code, refusal.value.remote_status) == (code, status)
    assert refusal.value.extra == {"lines": [1]}
    assert not refusal.value.is_our_fault
    assert len(neighbour.seen) == 1


@pytest.mark.parametrize("status", [400, 401, 403])
def test_what_the_neighbour_does_not_understand_is_our_fault(neighbour, status):
    neighbour.problem(status, "some_code")

    with pytest.raises(RemoteProblem) as refusal:
        products.get("/products/1")

    assert refusal.value.is_our_fault


@pytest.mark.parametrize(
    ("call", "tries"),
    [
        (lambda: products.get("/products/1"), 2),
        (lambda: products.put("/internal/reservations/1", {}), 2),
        (lambda: products.delete("/internal/reservations/1"), 2),
        (lambda: products.send_event("{}"), 1),
    ],
    ids=["GET", "PUT", "DELETE", "POST"],
)
def test_what_may_be_repeated_is_tried_twice(neighbour, call, tries):
    neighbour.answers = [(503, "text/html", "")]

    with pytest.raises(NeighbourUnavailable):
        call()

    assert len(neighbour.seen) == tries


def test_the_second_try_may_succeed(neighbour):
    neighbour.answers = [hang_up, ok('{"id": 1}')]

    assert products.get("/products/1") == {"id": 1}


def test_a_redirect_is_not_followed(neighbour):
    neighbour.answers = [(302, "application/json", "{}")]

    with pytest.raises(NeighbourUnavailable):
        products.send_event("{}")

    assert [path for _, path, _, _ in neighbour.seen] == ["/api/service2/internal/events"]


def test_a_neighbour_that_says_nothing_costs_a_bounded_time(neighbour):
    over = threading.Event()
    neighbour.answers = [lambda _handler: over.wait(10)]
    began = time.monotonic()

    with pytest.raises(NeighbourUnavailable):
        products.get("/products/1")

    over.set()
    assert 2 * http.TRY_SECONDS < time.monotonic() - began < http.CALL_SECONDS + 0.5


def test_a_call_ends_with_the_request_that_it_is_for(neighbour):
    over = threading.Event()
    neighbour.answers = [lambda _handler: over.wait(10)]
    began = time.monotonic()

    with context.work(request="test", seconds=0.3), pytest.raises(NeighbourUnavailable):
        products.get("/products/1")

    over.set()
    assert time.monotonic() - began < 1


def test_nothing_of_the_environment_is_used(neighbour, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    neighbour.answers = [ok()]

    products.get("/products/1")

    assert len(neighbour.seen) == 1


def test_connections_stay_open_and_no_two_threads_use_one_at_once(neighbour):
    both_are_here = threading.Barrier(2)

    def answer(handler):
        callers.append(handler.client_address)
        if len(callers) <= 2:
            both_are_here.wait(1)
        handler.send_response(200)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"{}")

    callers = []
    neighbour.answers = [answer]
    service = context.service.get()

    def call():
        with service.active():
            for _ in range(3):
                products.get("/products/1")

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(callers) == 6
    assert len(set(callers)) == 2
