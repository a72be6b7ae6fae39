"""Bytes to Nginx as they stand, and a close look at what comes back."""

import http.client
import json
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

ALIVE = b"GET /api/service1/health/live HTTP/1.1\r\nHost: quartet\r\n\r\n"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


def connect(stack, seconds=15):
    address = urlsplit(stack.url)
    return socket.create_connection((address.hostname, address.port), timeout=seconds)


def request(method, path, *headers, body=b"", length=True):
    """Return a request as bytes. path, headers, body: str or bytes; length: say how long it is."""
    lines = [b"%s %s HTTP/1.1" % (_bytes(method), _bytes(path)), b"Host: quartet"]
    lines += map(_bytes, headers)
    body = _bytes(body)
    if body and length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])


def say(stack, *parts):
    """Send bytes and return the Answer. Where Nginx keeps the connection, it must still be good."""
    with connect(stack) as connection:
        answer, closes = _exchange(connection, b"".join(parts))
        if not closes:
            after, _ = _exchange(connection, ALIVE)
            assert after.json == {"status": "live"}, "the next answer is out of step"
    return answer


def read(connection, method="GET"):
    """Return (Answer, whether Nginx closes the connection)."""
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return Answer(response.status, response.headers, response.read()), response.will_close


def _exchange(connection, data):
    # refused before all was sent: the answer is there to be read
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(data)
    return read(connection, "HEAD" if data.startswith(b"HEAD ") else "GET")


def assert_problem(answer, *statuses):
    """A refusal of one of these statuses, any 4xx without them, in the shape of all errors."""
    assert answer.status in (statuses or range(400, 500)), (answer.status, answer.body[:500])
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json
    assert problem["status"] == answer.status
    assert re.fullmatch("[a-z_]+", problem["code"])
    assert problem["type"] == f"/problems/{problem['code']}"
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", problem["request_id"])


def assert_answered(answer):
    """Any answer but a failure; a refusal has its shape."""
    if not 200 <= answer.status < 300:
        assert_problem(answer)


def _bytes(value):
    return value if isinstance(value, bytes) else value.encode()
