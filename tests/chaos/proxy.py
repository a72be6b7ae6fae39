"""A proxy between the services that breaks HTTP in all the ways in which a network does.

Every service calls its neighbours through it; without a fault it passes calls on as they are. A
fault is for the calls to one service, and hits a share of them.
"""

import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

UPSTREAM_SECONDS = 10
HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "host"})

_HTML = b"<html><head><title>502 Bad Gateway</title></head></html>"


class Proxy:
    """A running proxy before `upstream` (a URL without a path). `port` is where it listens.

    `hits` counts the calls that each kind of fault has met.
    """

    def __init__(self, upstream, seed):
        self.upstream = urlsplit(upstream).netloc
        self.hits = Counter()
        self.random = random.Random(seed)
        self._faults = {}  # {service: (kind, share)}
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def break_calls(self, service, kind, share):
        """From now on, this kind of fault (a key of KINDS) meets that share of calls to service."""
        self._faults[f"service{service[-1]}"] = (kind, share)

    def mend_calls(self, service):
        self._faults.pop(f"service{service[-1]}", None)

    def fault_for(self, path):
        """Return the kind of fault that a call to this path meets, or None."""
        kind, share = self._faults.get(path.split("/")[2], (None, 0))
        if self.random.random() >= share:
            return None
        self.hits[kind] += 1
        return kind


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """A caller that has gone away is nothing to speak of here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        KINDS[self.server.proxy.fault_for(self.path)](self)

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _serve

    def log_message(self, *_):
        pass

    def forward(self):
        """Return the real answer: status, headers, body."""
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
        upstream = http.client.HTTPConnection(self.server.proxy.upstream, timeout=UPSTREAM_SECONDS)
        try:
            upstream.request(self.command, self.path, self.body or None, headers)
            answer = upstream.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        except (OSError, http.client.HTTPException):
            return 502, [("Content-Type", "text/html")], _HTML
        finally:
            upstream.close()

    def perhaps_forward(self):
        if self.server.proxy.random.random() < 0.5:
            self.forward()

    def pass_back(self, status, headers, body):
        self.wfile.write(self.rendered(status, headers, body))

    def rendered(self, status, headers, body):
        kept = [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]
        if not any(name.lower() == "content-length" for name, _ in kept) and status != 204:
            kept.append(("Content-Length", str(len(body))))
        head = "".join(f"{name}: {value}\r\n" for name, value in kept)
        return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode("latin-1") + body

    def hang_up(self):
        self.close_connection = True


def _sound(call):
    call.pass_back(*call.forward())


def _delay(call):
    """The request arrives late; its caller may have given up."""
    time.sleep(call.server.proxy.random.uniform(0.1, 2.5))
    call.pass_back(*call.forward())


def _drop(call):
    """The request never arrives, and nobody says so."""
    time.sleep(3)
    call.hang_up()


def _lose_answer(call):
    """The request is done; the answer never arrives."""
    call.forward()
    call.hang_up()


def _reset(call):
    """RST, before or after the request was done."""
    call.perhaps_forward()
    call.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    call.connection.close()
    call.hang_up()


def _half_answer(call):
    """The answer ends in the middle."""
    whole = call.rendered(*call.forward())
    call.wfile.write(whole[: len(whole) - max(1, len(whole) // 4)])
    call.hang_up()


def _html(call):
    """Some box on the way answers in its own words, before or after the request was done."""
    call.perhaps_forward()
    status = call.server.proxy.random.choice([200, 404, 409, 502])
    call.pass_back(status, [("Content-Type", "text/html")], _HTML)


def _duplicate(call):
    """The request arrives twice: its copy much later, when all has gone on."""
    late = threading.Timer(call.server.proxy.random.uniform(0, 6), call.forward)
    late.daemon = True
    late.start()
    call.pass_back(*call.forward())


def _trickle(call):
    """The answer comes a few bytes at a time."""
    whole = call.rendered(*call.forward())
    with suppress(OSError):
        for start in range(0, len(whole), 16):
            call.wfile.write(whole[start : start + 16])
            time.sleep(0.1)


KINDS = {
    None: _sound,
    "delay": _delay,
    "drop": _drop,
    "lose_answer": _lose_answer,
    "reset": _reset,
    "half_answer": _half_answer,
    "html": _html,
    "duplicate": _duplicate,
    "trickle": _trickle,
}
