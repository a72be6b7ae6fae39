"""Calls over a real socket to a neighbour that behaves as badly as the network lets it."""

import json
import socket
import socketserver
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chassis import context, guard, http, testing
from chassis.http import NeighbourUnavailable, NotCalled, RemoteProblem, ServiceClient

products = ServiceClient("microservice2")


by_both_ways = pytest.mark.parametrize("neighbour", ["tcp", "unix"], indirect=True)


class Neighbour(ThreadingHTTPServer):
    """Answers with the next of `answers`: (status, content type, body), or a function.

    address: a host and a port, or the path of a unix socket.
    """

    def __init__(self, address):
        if isinstance(address, str):
            self.address_family = socket.AF_UNIX
        super().__init__(address, _Handler)
        self.answers = []
        self.headers = {}
        self.seen = []

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)  # HTTPServer's wants a host and a port

    @property
    def url(self):
        if self.address_family == socket.AF_UNIX:
            return f"unix:{self.server_address}"
        return "http://{}:{}".format(*self.server_address)

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
        for name, value in self.server.headers.items():
            self.send_header(name, value)
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
def neighbour(request, tmp_path):
    by_tcp = getattr(request, "param", "tcp") == "tcp"
    server = Neighbour(("127.0.0.1", 0) if by_tcp else str(tmp_path / "neighbour.sock"))
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


@by_both_ways
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
        (401, "application/problem+json", '{"code": "token_expired"}'),
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


@by_both_ways
def test_a_neighbour_that_says_nothing_costs_a_bounded_time(neighbour):
    over = threading.Event()
    neighbour.answers = [lambda _handler: over.wait(10)]
    began = time.monotonic()

    with pytest.raises(NeighbourUnavailable):
        products.get("/products/1")

    over.set()
    assert 2 * http.TRY_SECONDS < time.monotonic() - began < http.CALL_SECONDS + 3


@by_both_ways
@pytest.mark.parametrize("head", ["", "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"])
def test_a_neighbour_that_sends_a_byte_at_a_time_costs_no_more(neighbour, head):
    def trickle(handler):
        handler.close_connection = True
        with suppress(OSError):
            handler.wfile.write(head.encode())
            for _ in range(100):
                handler.wfile.write(b"H")
                time.sleep(0.1)

    neighbour.answers = [trickle]
    started = time.monotonic()
    with pytest.raises(NeighbourUnavailable):
        products.get("/products/1")

    assert time.monotonic() - started < http.CALL_SECONDS + 3


def test_a_call_ends_with_the_request_that_it_is_for(neighbour):
    over = threading.Event()
    neighbour.answers = [lambda _handler: over.wait(10)]
    began = time.monotonic()

    with context.work(request="test", seconds=0.3), pytest.raises(NeighbourUnavailable):
        products.get("/products/1")

    over.set()
    assert time.monotonic() - began < http.TRY_SECONDS


def test_nothing_of_the_environment_is_used(neighbour, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    neighbour.answers = [ok()]

    products.get("/products/1")

    assert len(neighbour.seen) == 1


@by_both_ways
def test_connections_stay_open_and_no_two_threads_use_one_at_once(neighbour):
    both_are_here = threading.Barrier(2)

    def answer(handler):
        callers.append(id(handler.connection))  # it is kept open
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


def refused_calls(number, call=lambda: products.send_event("{}")):
    """Call so often, and return the reasons why there was no definite answer."""
    reasons = []
    for _ in range(number):
        with pytest.raises(NeighbourUnavailable) as silence:
            call()
        reasons.append(silence.value.reason)
    return reasons


def in_threads(number, call):
    """Call in so many threads at once. Returns what each has raised, None for one that has not."""
    service, raised = context.service.get(), []

    def run():
        with service.active():
            try:
                call()
            except NeighbourUnavailable as silence:
                raised.append(silence)
            else:
                raised.append(None)

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


DOWN = (503, "text/html", "")


def test_second_tries_are_at_most_a_tenth_of_the_calls(neighbour):
    neighbour.answers = [
        answer for _ in range(50) for answer in (DOWN, ok(), DOWN, ok(), DOWN, ok(), DOWN, ok())
    ]
    for _ in range(200):
        with suppress(NeighbourUnavailable):
            products.get("/products/1")

    assert 200 < len(neighbour.seen) <= 200 + 20 + 1


def test_a_neighbour_that_does_not_answer_is_left_alone_and_said_to_be_so_at_once(neighbour):
    neighbour.answers = [DOWN]

    reasons = refused_calls(guard.FAILURES_TO_OPEN + 100)

    assert len(neighbour.seen) == guard.FAILURES_TO_OPEN
    assert set(reasons[guard.FAILURES_TO_OPEN :]) == {"circuit open"}


def test_an_open_circuit_tells_that_nothing_was_sent_and_when_to_come_again(neighbour):
    neighbour.answers = [DOWN]
    refused_calls(guard.FAILURES_TO_OPEN)

    with pytest.raises(NotCalled) as silence:
        products.get("/products/1")

    assert 0 < silence.value.pause_seconds <= guard.OPEN_SECONDS
    assert silence.value.retry_after == 1


def test_a_half_open_circuit_lets_one_call_through_and_closes_when_it_is_answered(neighbour):
    neighbour.answers = [DOWN]
    refused_calls(guard.FAILURES_TO_OPEN)
    neighbour.seen.clear()
    asked, answer_now = threading.Event(), threading.Event()

    def answer(handler):
        asked.set()
        answer_now.wait(5)
        neighbour.answers = [ok()]
        handler.send_response(200)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"{}")

    neighbour.answers = [answer]
    time.sleep(guard.OPEN_SECONDS)
    service = context.service.get()
    probe = threading.Thread(target=_active(service, products.get), args=("/products/1",))
    probe.start()
    assert asked.wait(5)

    assert refused_calls(3) == ["circuit open"] * 3
    answer_now.set()
    probe.join()
    assert products.get("/products/1") == {}
    assert len(neighbour.seen) == 2


def test_a_probe_that_fails_opens_the_circuit_again(neighbour):
    neighbour.answers = [DOWN]
    refused_calls(guard.FAILURES_TO_OPEN)
    time.sleep(guard.OPEN_SECONDS)
    neighbour.seen.clear()

    reasons = refused_calls(3, lambda: products.get("/products/1"))

    assert reasons == ["503", "circuit open", "circuit open"]
    assert len(neighbour.seen) == 1


def test_refusals_do_not_open_the_circuit_and_end_a_row_of_failures(neighbour):
    neighbour.problem(409, "out_of_stock")
    for _ in range(3 * guard.FAILURES_TO_OPEN):
        with pytest.raises(RemoteProblem):
            products.get("/products/1")

    for answer in [DOWN] * (guard.FAILURES_TO_OPEN - 1), [ok()], [DOWN] * 2:
        neighbour.answers = [*answer, answer[-1]]
        for _ in answer:
            with suppress(NeighbourUnavailable):
                products.send_event("{}")

    neighbour.answers = [ok()]
    assert products.get("/products/1") == {}


def test_the_circuit_of_one_neighbour_is_nothing_to_the_others(neighbour):
    neighbour.answers = [DOWN]
    refused_calls(guard.FAILURES_TO_OPEN)
    neighbour.answers = [ok()]

    assert ServiceClient("microservice1").get("/users/1") == {}


def test_a_neighbour_that_was_away_is_called_again_soon_and_was_hardly_called_meanwhile(neighbour):
    """As over a minute, in a tenth of it: a thousand calls, a neighbour that comes back."""
    neighbour.answers = [DOWN]
    service = context.service.get()
    for _ in range(1000):
        with suppress(NeighbourUnavailable):
            products.get("/products/1")
        time.sleep(0.004)
    while_away = len(neighbour.seen)

    neighbour.answers = [ok()]
    back = time.monotonic()
    while not service.guards["microservice2"].breaker.is_closed:
        with suppress(NeighbourUnavailable):
            products.get("/products/1")
        time.sleep(0.01)

    assert time.monotonic() - back < guard.OPEN_SECONDS + 3
    assert while_away < 30


def test_a_neighbour_that_hangs_does_not_hold_all_threads(neighbour):
    over = threading.Event()
    neighbour.answers = [lambda _handler: over.wait(10)]
    threads = context.service.get().settings.threads
    began = time.monotonic()
    times = []

    def call():
        try:
            products.send_event("{}")
        finally:
            times.append(time.monotonic() - began)

    raised = in_threads(threads, call)

    over.set()
    kept_out = [silence for silence in raised if isinstance(silence, NotCalled)]
    assert [silence.reason for silence in kept_out] == ["too many calls at once"]
    assert min(times) < 0.5 < http.TRY_SECONDS <= sorted(times)[1]
    assert len(neighbour.seen) == threads - 1


def test_a_place_that_gets_free_soon_is_waited_for(neighbour):
    def answer(handler):
        time.sleep(guard.PLACE_SECONDS / 3)
        handler.send_response(200)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"{}")

    neighbour.answers = [answer]

    assert in_threads(4, lambda: products.get("/products/1")) == [None] * 4


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("2", 2), ("86400", http.LONGEST_PAUSE_SECONDS), ("soon", 0), ("-1", 0), ("0", 0)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_neighbour_can_ask_to_be_left_alone_for_a_while(neighbour, status, header, seconds):
    neighbour.headers = {"Retry-After": header}
    neighbour.problem(status, "unavailable")

    with pytest.raises(NeighbourUnavailable) as silence:
        products.get("/products/1")

    assert silence.value.pause_seconds == seconds
    assert len(neighbour.seen) == (1 if seconds else 2)


def test_a_unix_socket_to_which_nobody_listens_is_unknown(tmp_path):
    keys, path = testing.make_keys(tmp_path / "keys"), str(tmp_path / "dead.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    service = testing.make_service("microservice3", "", keys, internal_url=f"unix:{path}")

    with service.active(), pytest.raises(NeighbourUnavailable) as silence:
        products.send_event("{}")

    assert silence.value.reason == "ConnectionError"


def test_without_time_left_nothing_is_sent(neighbour):
    neighbour.answers = [ok()]

    with context.work(request="test", seconds=0), pytest.raises(NotCalled):
        products.get("/products/1")

    assert neighbour.seen == []


def _active(service, function):
    def run(*arguments):
        with service.active():
            return function(*arguments)

    return run
