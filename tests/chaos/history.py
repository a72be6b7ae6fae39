"""What the clients did and what they were answered: a history, one JSON value a line.

    {"type": "invoke", "call": 7, "time": 1.203, "client": "shopper-3", "operation": "place",
     "arguments": {...}}
    {"type": "ok", "call": 7, "time": 1.250, ..., "answer": {"status": 201, "body": {...}}}

An invocation ends as `ok` (2xx), as `fail` (a definite 4xx: it did nothing) or as `info` (silence,
a 5xx, an answer that is not ours: whether it was done is unknown). Times are seconds after the
start.
"""

import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import requests

TIMEOUT_SECONDS = 10.0  # a client's; the stack promises an answer within it

RENEWAL_SECONDS = 240.0  # a token lives for 600

_UNDECIDED = frozenset({408, 425, 429})
_UNDECIDED_CODES = frozenset({None, "no_route", "request_in_progress", "reference_in_progress"})


@dataclass(frozen=True)
class Call:
    """An operation from its invocation to its end. end: None if it never came, then `info`."""

    client: str
    operation: str
    arguments: dict
    start: float
    end: float | None
    outcome: str
    status: int | None = None
    body: dict | None = None


def calls(events):
    """Return the Calls of a history, in the order of their invocations."""
    ends = {event["call"]: event for event in events if event["type"] != "invoke"}
    return [_call(event, ends.get(event["call"])) for event in events if event["type"] == "invoke"]


def _call(invoked, ended):
    answer = (ended or {}).get("answer") or {}
    return Call(
        client=invoked["client"],
        operation=invoked["operation"],
        arguments=invoked["arguments"],
        start=invoked["time"],
        end=ended and ended["time"],
        outcome=ended["type"] if ended else "info",
        status=answer.get("status"),
        body=answer.get("body"),
    )


def outcome_of(status, body):
    """Return ok, fail or info. body: the answer's JSON, or None where there was none."""
    if 200 <= status < 300 and isinstance(body, dict):
        return "ok"
    code = body.get("code") if isinstance(body, dict) else None
    definite = 400 <= status < 500 and status not in _UNDECIDED and code not in _UNDECIDED_CODES
    return "fail" if definite else "info"


class History:
    """Writes down what happens, into a file and into `events`. Any thread may write."""

    def __init__(self, file):
        self.events = []
        self.started = time.monotonic()
        self._file = Path(file).open("w", encoding="utf-8")  # noqa: SIM115 - open for a whole run
        self._lock = threading.Lock()
        self._numbers = count(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def write(self, kind, number, client, operation, arguments, answer=None):
        event = {
            "type": kind,
            "call": number,
            "time": round(time.monotonic() - self.started, 4),
            "client": client,
            "operation": operation,
            "arguments": arguments,
        }
        if answer is not None:
            event["answer"] = answer
        with self._lock:
            self.events.append(event)
            self._file.write(json.dumps(event) + "\n")

    def next_number(self):
        return next(self._numbers)


class Client:
    """Somebody who calls the public API, with a password, and has every call written down."""

    def __init__(self, name, url, history, username, password):
        self.name = name
        self._url = url
        self._history = history
        self._login = {"username": username, "password": password}
        self._lock = threading.Lock()
        self._log_in()

    def call(self, operation, method, path, arguments, body=None, headers=None):
        """Call, write it down, and return (outcome, body of the answer or None)."""
        token = self._fresh_token()
        number = self._history.next_number()
        about = (number, self.name, operation, arguments)
        self._history.write("invoke", *about)
        outcome, answer = self._answer(method, path, token, body, headers)
        if answer.get("status") == 401:
            self._renewal_due = 0.0  # a clock was wrong, when we logged in or now
        self._history.write(outcome, *about, answer)
        return outcome, answer.get("body")

    def _answer(self, method, path, token, body, headers):
        try:
            answer = _session().request(
                method,
                self._url + path,
                json=body,
                headers={"Authorization": f"Bearer {token}", **(headers or {})},
                timeout=TIMEOUT_SECONDS,
            )
        except requests.RequestException as error:
            return "info", {"error": type(error).__name__}
        try:
            found = answer.json()
        except ValueError:
            found = None
        return outcome_of(answer.status_code, found), {
            "status": answer.status_code,
            "body": _worth_keeping(found),
        }

    def _fresh_token(self):
        """A token that is valid still. Without an answer to a login the last one has to do."""
        with self._lock:
            if time.monotonic() > self._renewal_due:
                self._renewal_due = time.monotonic() + RENEWAL_SECONDS / 20
                with suppress(requests.RequestException, ValueError, KeyError):
                    self._log_in()
            return self._token

    def _log_in(self):
        answer = requests.post(
            f"{self._url}/api/service1/tokens", json=self._login, timeout=TIMEOUT_SECONDS
        )
        self._token = answer.json()["access_token"]
        self._renewal_due = time.monotonic() + RENEWAL_SECONDS


_of_this_thread = threading.local()


def _session():
    """A connection of the thread's own, which costs less than a new one for each call."""
    if not hasattr(_of_this_thread, "session"):
        _of_this_thread.session = requests.Session()
    return _of_this_thread.session


_KEPT = ("id", "status", "version", "reference", "code", "order_id", "lines")


def _worth_keeping(body):
    if not isinstance(body, dict):
        return None
    return {name: body[name] for name in _KEPT if name in body}
