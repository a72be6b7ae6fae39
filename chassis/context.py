"""What is true for the work in hand: which service does it, for which request, for whom, how long.

Context variables rather than globals, so that several services can live in one process (the tests
do that) and every thread of a worker has its own.
"""

import re
import secrets
import time
from contextlib import contextmanager
from contextvars import ContextVar

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")

service = ContextVar("service")
request_id = ContextVar("request_id", default=None)
traceparent = ContextVar("traceparent", default=None)
actor = ContextVar("actor", default=None)
is_privileged = ContextVar("is_privileged", default=False)  # the actor: an admin or a service
deadline = ContextVar("deadline", default=None)
transaction = ContextVar("transaction", default=None)  # which others join
idempotency_claim = ContextVar("idempotency_claim", default=None)


def new_request_id():
    """Return 32 random hexadecimal digits, the form that Nginx makes too."""
    return secrets.token_hex(16)


def accepted_request_id(candidate):
    """Return the caller's request id if it is well-formed, else a new one."""
    if candidate and REQUEST_ID.fullmatch(candidate):
        return candidate
    return new_request_id()


def continued_trace(candidate):
    """Return a W3C traceparent for this hop: the caller's trace id if well-formed, a new span id.

    https://www.w3.org/TR/trace-context/#traceparent-header
    """
    found = TRACEPARENT.fullmatch(candidate or "")
    trace_id, flags = (found[1], found[3]) if found else (secrets.token_hex(16), "00")
    return f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"


def seconds_left():
    """Return the seconds that the work in hand may still take, 0 or more, or None: no limit."""
    end = deadline.get()
    return None if end is None else max(0.0, end - time.monotonic())


def at_most(seconds):
    """Return how long a wait may be: so many seconds, or what the work in hand has left."""
    left = seconds_left()
    return seconds if left is None else min(seconds, left)


@contextmanager
def untimed():
    """Put the deadline of the work in hand off by the time that the body takes."""
    began = time.monotonic()
    try:
        yield
    finally:
        if (end := deadline.get()) is not None:
            deadline.set(end + time.monotonic() - began)


@contextmanager
def caused_by(*, request, trace):
    """Let what follows belong to another request for a while: the one that an event came from."""
    tokens = [request_id.set(request or request_id.get()), traceparent.set(continued_trace(trace))]
    try:
        yield
    finally:
        traceparent.reset(tokens[1])
        request_id.reset(tokens[0])


@contextmanager
def work(*, request, trace=None, seconds=None):
    """Set the context for one piece of work: a request that is served, a message that is delivered.

    request: its id, a string. trace: the W3C traceparent it arrived with. seconds: how long the
    whole of it may take.
    """
    end = None if seconds is None else time.monotonic() + seconds
    values = (
        (request_id, request),
        (traceparent, continued_trace(trace)),
        (deadline, end),
        (actor, None),
        (is_privileged, False),
        (transaction, None),
        (idempotency_claim, None),
    )
    tokens = [(variable, variable.set(value)) for variable, value in values]
    try:
        yield
    finally:
        for variable, token in reversed(tokens):
            variable.reset(token)
