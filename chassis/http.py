"""Calls to a neighbour: a deadline, two tries at most, and answers told apart from silence.

    products = ServiceClient("microservice2")
    products.put("/internal/reservations/7", json={"items": [...]})

A definite answer is returned (2xx) or raised as RemoteProblem (a 4xx in our own problem shape): the
neighbour has decided. Everything else, a timeout, a reset, a 5xx, HTML, is NeighbourUnavailable:
whether the neighbour did the work is unknown. A neighbour that does not answer is left alone for a
while (`chassis.guard`): then the call is not made, which is NotCalled.
"""

import logging
import re
import time
from contextlib import contextmanager

import requests
from requests.structures import CaseInsensitiveDict

from chassis import context, crash, wire
from chassis.errors import NotTried, Problem, Unavailable
from chassis.settings import prefix_of

log = logging.getLogger(__name__)

CALL_SECONDS = 3.0  # a whole call, both tries
TRY_SECONDS = 1.4
CONNECT_SECONDS = 0.5
PAUSE_SECONDS = 0.05  # before the second try
LONGEST_PAUSE_SECONDS = 10  # that a neighbour's Retry-After can ask for
DEADLINE_HEADER = "X-Request-Timeout"  # seconds left, as "2.750"

REPEATABLE = frozenset({"GET", "PUT", "DELETE"})
_OUR_FAULT = frozenset({400, 401, 403})
_UNDECIDED = frozenset({408, 425, 429})
# A fresh token that has expired comes of clocks that disagree, which passes: no mistake of ours.
_UNDECIDED_CODES = frozenset({None, "no_route", "token_expired"})


class RemoteProblem(Problem):
    """The neighbour said no, definitely. `code`, `detail` and `extra` are its own."""

    status, title = 502, "Another service refused a request of ours"

    def __init__(self, neighbour, status, body):
        known = {"type", "title", "status", "detail", "code", "request_id"}
        super().__init__(
            body.get("detail"), **{key: value for key, value in body.items() if key not in known}
        )
        self.neighbour = neighbour
        self.remote_status = status
        self.code = body["code"]

    @property
    def is_our_fault(self):
        """The neighbour does not understand or trust us: a mistake in code or configuration."""
        return self.remote_status in _OUR_FAULT


class NeighbourUnavailable(Unavailable):
    """No definite answer from a neighbour. `neighbour` is its name.

    pause_seconds: how long it has asked to be left alone, at most LONGEST_PAUSE_SECONDS.
    """

    def __init__(self, neighbour, reason, pause_seconds=0):
        super().__init__(f"{neighbour} did not answer")
        self.neighbour = neighbour
        self.reason = reason
        self.pause_seconds = pause_seconds

    def __str__(self):
        return f"{self.neighbour}: {self.reason}"


class NotCalled(NeighbourUnavailable, NotTried):
    """The neighbour was not called at all: it is known to be away, or there is no time or place."""


class ServiceClient:
    """HTTP to one neighbour through the internal listener, as the current service.

    Paths are the neighbour's own (`/internal/...`), bodies and answers JSON values. Every method
    raises RemoteProblem or NeighbourUnavailable.
    """

    def __init__(self, neighbour):
        self.neighbour = neighbour

    def get(self, path):
        return self._call("GET", path)

    def put(self, path, json):
        return self._call("PUT", path, wire.dumps(json))

    def delete(self, path):
        return self._call("DELETE", path)

    def send_events(self, bodies):
        """POST CloudEvents in one batch. The receiver knows repeats by their ids.

        bodies: events as JSON texts. A refusal does not say which of them it is for.
        """
        batch = f"[{','.join(bodies)}]".encode()
        return self._call("POST", "/internal/events", batch, "application/cloudevents-batch+json")

    def send_event(self, body):
        """POST a CloudEvent (str, structured mode). The receiver knows repeats by its id."""
        return self._call("POST", "/internal/events", body.encode(), "application/cloudevents+json")

    def _call(self, method, path, body=None, content_type="application/json"):
        if context.transaction.get() is not None:
            raise RuntimeError("no call to a neighbour inside a transaction: see idempotent_routes")
        end = time.monotonic() + _time_for_a_call()
        guard = context.service.get().guards[self.neighbour]
        with self._admitted(guard, end):
            guard.retries.earn()
            try:
                return self._try(guard, method, path, body, content_type, end)
            except NeighbourUnavailable as silence:
                if method not in REPEATABLE or not _may_try_again(guard, silence, end):
                    raise
            time.sleep(PAUSE_SECONDS)
            return self._try(guard, method, path, body, content_type, end)

    @contextmanager
    def _admitted(self, guard, end):
        """Hold a place among the calls to the neighbour. Raises NotCalled if there is none."""
        if not guard.bulkhead.enter():
            raise self._not_called(guard, "too many calls at once")
        try:
            if time.monotonic() >= end:
                raise self._not_called(guard, "no time left")
            if seconds := guard.breaker.seconds_shut():
                raise self._not_called(guard, "circuit open", seconds)
            yield
        finally:
            guard.bulkhead.leave()

    def _not_called(self, guard, reason, pause_seconds=0):
        guard.not_called(reason)
        return NotCalled(self.neighbour, reason, pause_seconds)

    def _try(self, guard, method, path, body, content_type, end):
        """Call once. A definite answer, a refusal too, is a success of the neighbour."""
        try:
            answer = self._send(method, path, body, content_type, end)
        except RemoteProblem:
            guard.breaker.succeeded()
            raise
        except NeighbourUnavailable as silence:
            log.warning("no answer", extra={"neighbour": self.neighbour, "reason": silence.reason})
            guard.failed()
            raise
        guard.breaker.succeeded()
        return answer

    def _send(self, method, path, body, content_type, end):
        service = context.service.get()
        seconds = min(TRY_SECONDS, end - time.monotonic())
        request = requests.PreparedRequest()  # by hand: our own URLs need no parsing and quoting
        request.method = method
        request.url = f"http://localhost{prefix_of(self.neighbour)}{path}"
        request.headers = CaseInsensitiveDict(self._headers(service, body, content_type, seconds))
        request.body = body
        try:
            answer = service.http_adapter.send(
                request, timeout=(min(CONNECT_SECONDS, seconds), seconds), proxies={}
            )
            answer.content  # noqa: B018 - read here, where an end in the middle is caught
        except requests.RequestException as error:
            raise NeighbourUnavailable(self.neighbour, type(error).__name__) from error
        crash.point("answered")
        return self._understood(answer)

    def _headers(self, service, body, content_type, seconds):
        headers = {
            "Authorization": f"Bearer {service.signer.service_token(self.neighbour)}",
            "Accept": "application/json",
            "X-Request-ID": context.request_id.get() or context.new_request_id(),
            "traceparent": context.traceparent.get() or context.continued_trace(None),
            DEADLINE_HEADER: f"{seconds:.3f}",
        }
        if body is not None:
            headers |= {"Content-Type": content_type, "Content-Length": str(len(body))}
        return headers

    def _understood(self, answer):
        """Return the body of a 2xx, raise RemoteProblem for a refusal; the rest is unknown."""
        status = answer.status_code
        try:
            body = wire.loads(answer.content) if answer.content else None
        except wire.MalformedJson:
            raise NeighbourUnavailable(self.neighbour, f"{status} without JSON") from None
        if 200 <= status < 300:
            return body
        code = body.get("code") if isinstance(body, dict) else None
        definite = 400 <= status < 500 and status not in _UNDECIDED and code not in _UNDECIDED_CODES
        if definite and isinstance(code, str):
            raise RemoteProblem(self.neighbour, status, body)
        raise NeighbourUnavailable(
            self.neighbour, f"{status} {code or ''}".strip(), _pause_asked_for(answer)
        )


def _time_for_a_call():
    """A quarter of what the request has left stays for what follows from the answer."""
    left = context.seconds_left()
    return CALL_SECONDS if left is None else min(CALL_SECONDS, left * 0.75)


def _may_try_again(guard, silence, end):
    """Whether there is time for a second try, nobody asked us to wait, and few calls need one."""
    has_time = end - time.monotonic() >= PAUSE_SECONDS + CONNECT_SECONDS
    is_welcome = guard.breaker.is_closed and not silence.pause_seconds
    return has_time and is_welcome and guard.retries.spend()


def _pause_asked_for(answer):
    """The seconds of `Retry-After`, as far as they are sensible. Nobody here sends a date."""
    seconds = answer.headers.get("Retry-After", "")
    return min(int(seconds), LONGEST_PAUSE_SECONDS) if re.fullmatch("[0-9]{1,9}", seconds) else 0
