"""Ask one address over many connections, from one thread that costs little beside what is measured.

Closed loop: each connection asks again as soon as it is answered. Open loop: requests leave by the
clock, whether or not the earlier ones were answered.
"""

import errno
import selectors
import socket
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

DRAIN_SECONDS = 10
BROKEN = "no answer"


@dataclass
class Seen:
    """What came back. outcomes: {status, or BROKEN: how many}. unsent: no connection was free."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    unsent: int = 0
    outcomes: Counter = field(default_factory=Counter)
    waits: list = field(default_factory=list)  # seconds, of good answers

    @property
    def good(self):
        return len(self.waits)

    def wait(self, share):
        """Return the seconds that this share of the good answers took at most, or nan."""
        if not self.waits:
            return float("nan")
        return sorted(self.waits)[min(len(self.waits) - 1, int(len(self.waits) * share))]


class Flood:
    """connections: the most at once. rate: requests a second; None is a closed loop.

    request: the bytes to send, or an iterator of them.
    """

    def __init__(self, port, request, *, connections, rate=None):
        self._address = ("127.0.0.1", port)
        self._next_request = (lambda: request) if isinstance(request, bytes) else request.__next__
        self._most = connections
        self._rate = rate
        self._selector = selectors.EpollSelector()
        self._idle = []
        self._open = 0
        self._waiting = 0
        self._seen = Seen()

    def run(self, seconds):
        """Ask for so long, wait for the answers still to come, and return what was Seen."""
        began, cpu = time.monotonic(), time.process_time()
        self._ending = False
        sent = 0
        while (now := time.monotonic() - began) < seconds:
            due = int(now * self._rate) - sent if self._rate else self._most - self._waiting
            for _ in range(due):
                self._send()
            sent += due if self._rate else 0
            self._receive(0.001)
        self._ending = True
        self._seen.seconds = time.monotonic() - began
        self._seen.cpu_seconds = time.process_time() - cpu
        self._drain()
        return self._seen

    def _drain(self):
        end = time.monotonic() + DRAIN_SECONDS
        while self._waiting and time.monotonic() < end:
            self._receive(0.05)
        if self._waiting:
            self._seen.outcomes[BROKEN] += self._waiting
        for key in list(self._selector.get_map().values()):
            key.data.close()
        self._selector.close()

    def _send(self):
        if self._idle:
            connection = self._idle.pop()
        elif self._open < self._most:
            self._open += 1
            connection = _Connection(self._address, self._selector)
        else:
            self._seen.unsent += 1
            return
        self._waiting += 1
        connection.ask(self._next_request())

    def _receive(self, seconds):
        for key, events in self._selector.select(seconds):
            connection = key.data
            status = connection.advance(events)
            if status is None:
                continue
            self._waiting -= 1
            if status == BROKEN:
                self._open -= 1
            elif self._rate or self._ending:
                self._idle.append(connection)
            self._note(status, connection)
            if status != BROKEN and not self._rate and not self._ending:
                self._waiting += 1
                connection.ask(self._next_request())

    def _note(self, status, connection):
        if self._ending and not self._rate:
            return  # of a closed loop, the answers within the time alone
        self._seen.outcomes[status] += 1
        if 200 <= (status if status != BROKEN else 0) < 300:
            self._seen.waits.append(time.monotonic() - connection.asked)


class _Connection:
    def __init__(self, address, selector):
        self._selector = selector
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connected = self._socket.connect_ex(address) == 0
        selector.register(
            self._socket, selectors.EVENT_READ if self._connected else selectors.EVENT_WRITE, self
        )

    def ask(self, request):
        self.asked = time.monotonic()
        self._request, self._answer = request, b""
        if self._connected:
            self._say()

    def advance(self, events):
        """Return the status of the answer, None while it is not complete, or BROKEN."""
        try:
            if events & selectors.EVENT_WRITE:
                if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise ConnectionError
                self._connected = True
                self._selector.modify(self._socket, selectors.EVENT_READ, self)
                self._say()
                return None
            piece = self._socket.recv(262_144)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                return None
            piece = b""
        if not piece:
            self.close()
            return BROKEN
        self._answer += piece
        return _status_of(self._answer)

    def _say(self):
        with suppress(OSError):  # the next read says so
            self._socket.sendall(self._request)

    def close(self):
        self._selector.unregister(self._socket)
        self._socket.close()


def _status_of(answer):
    """Return the status of a whole answer, else None."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return None
    low = head.lower()
    place = low.find(b"content-length:")
    if place >= 0:
        length = int(low[place + 15 :].partition(b"\r\n")[0])
        whole = len(body) >= length
    else:
        whole = body.endswith(b"0\r\n\r\n") if b"chunked" in low else True
    return int(head[9:12]) if whole else None
