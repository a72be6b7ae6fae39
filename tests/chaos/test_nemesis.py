"""The schedule of faults, and the proxy that carries those of the network out."""

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import requests

from tests.chaos.clocks import Clocks
from tests.chaos.nemesis import (
    CLOCK_FAULTS,
    DISK_FAULTS,
    POSTGRES,
    PROCESS_FAULTS,
    Fault,
    Nemesis,
    schedule,
)
from tests.chaos.proxy import KINDS, Proxy


def test_the_same_seed_makes_the_same_schedule():
    assert schedule(7, 60) == schedule(7, 60)
    assert schedule(7, 60) != schedule(8, 60)


def test_every_kind_of_fault_has_its_turn():
    kinds = {fault.kind for fault in schedule(7, 3600)}

    assert kinds == {*PROCESS_FAULTS, *filter(None, KINDS)}


def test_no_fault_outlasts_the_schedule():
    assert all(fault.at + fault.seconds <= 60 for fault in schedule(7, 60))


def test_faults_of_which_a_machine_is_not_capable_are_left_out_and_named(tmp_path):
    stack, poor = SimpleNamespace(var=tmp_path), SimpleNamespace(missing="nobody has installed it")
    nemesis = Nemesis(stack, network=None, disk=poor, clocks=poor)

    nemesis.run([Fault(0.0, kind, POSTGRES, 0.1) for kind in nemesis.left_out], time.monotonic())

    assert set(nemesis.left_out) == {*DISK_FAULTS, *CLOCK_FAULTS}
    assert (nemesis.injected, nemesis.told, nemesis.troubles) == ({}, [], [])


def test_a_step_moves_the_wall_clock_of_one_service_and_no_other_clock(tmp_path):
    clocks = Clocks(SimpleNamespace(var=tmp_path))
    if clocks.missing:
        pytest.skip(clocks.missing)
    settings = {name: clocks.settings(name) for name in ("microservice1", "microservice2")}
    clocks.step("microservice2", -3600)  # an hour slow

    true, stepped = (_clocks_under(settings[name]) for name in settings)

    assert -60 < true[0] - time.time() < 60
    assert -3660 < stepped[0] - time.time() < -3540
    assert -60 < stepped[1] - time.monotonic() < 60


def _clocks_under(settings):
    """The wall clock and the monotonic one, as a program sees them that bash becomes."""
    program = "import time; time.sleep(0.01); print(time.time(), time.monotonic())"
    command = ["bash", "-c", 'exec "$@"', "bash", sys.executable, "-c", program]
    shown = subprocess.run(command, env=settings, check=True, capture_output=True, text=True)
    return [float(word) for word in shown.stdout.split()]


class Neighbour(BaseHTTPRequestHandler):
    """Answers with what it was sent, and counts."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(body)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def neighbour():
    with ThreadingHTTPServer(("127.0.0.1", 0), Neighbour) as server:
        server.seen = []
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def broken(neighbour):
    """Returns a context: a proxy with that kind of fault, and a function that calls through it."""

    @contextmanager
    def with_fault(kind):
        with Proxy(f"http://127.0.0.1:{neighbour.server_address[1]}", seed=1) as proxy:
            proxy.break_calls("microservice2", kind, 1.0)
            url = f"http://127.0.0.1:{proxy.port}/api/service"
            yield lambda service=2: requests.put(f"{url}{service}/x", b"stock " * 20, timeout=5)

    return with_fault


def test_without_a_fault_calls_pass_as_they_are(broken, neighbour):
    with broken("drop") as call:
        answer = call(service=1)

    assert answer.content == b"stock " * 20
    assert len(neighbour.seen) == 1


@pytest.mark.parametrize("kind", ["delay", "trickle"])
def test_what_is_slow_arrives_whole(broken, kind):
    with broken(kind) as call:
        answer = call()

    assert answer.content == b"stock " * 20
    assert answer.elapsed.total_seconds() > 0.05


@pytest.mark.parametrize("kind", ["drop", "lose_answer", "reset", "half_answer"])
def test_what_is_lost_is_no_answer(broken, kind):
    with broken(kind) as call, pytest.raises(requests.RequestException):
        call()


def test_a_lost_answer_is_one_to_a_call_that_arrived(broken, neighbour):
    with broken("lose_answer") as call, pytest.raises(requests.ConnectionError):
        call()

    assert len(neighbour.seen) == 1


def test_a_dropped_call_never_arrives(broken, neighbour):
    with broken("drop") as call, pytest.raises(requests.ConnectionError):
        call()

    assert neighbour.seen == []


def test_html_is_no_answer_of_ours(broken):
    with broken("html") as call:
        assert call().headers["Content-Type"] == "text/html"
