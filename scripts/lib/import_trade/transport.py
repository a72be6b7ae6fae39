"""Carries calls to the public API and brings back definite answers.

A timeout, a reset, a 429 or a 5xx says nothing about whether the write happened. Such a call is
sent again, with growing pauses, until there is a definite answer or patience ends. That is safe
because every write here has a natural key: the repeat of one that did happen is a 409.
"""

import logging
import random
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

from chassis import wire

CONNECT_SECONDS = 3.05
ANSWER_SECONDS = 10
"""The outermost deadline of the stack: everything behind it gives up earlier."""
UNDECIDED = ("", "no_route", "reference_in_progress")
"""Codes of refusals that are not final: an error page, a lost route, a try that still runs."""
PATIENCE_SECONDS = 60
PATIENCE_AT_FIRST_SECONDS = 3
LONGEST_PAUSE_SECONDS = 5
FIRST_PAUSE_SECONDS = 0.1
RENEW_BEFORE_SECONDS = 60

TOKENS = "/api/service1/tokens"
LIVE = "/api/service1/health/live"

# A refusal is an outcome to report; urllib3 would log each broken connection beside it
logging.getLogger("urllib3").setLevel(logging.ERROR)


class Failed(Exception):
    """The import cannot go on."""


class Stopped(Exception):
    """The import was told to stop before this call had its answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def code(self) -> str:
        return self.body.get("code", "") if isinstance(self.body, dict) else ""

    def describe(self) -> str:
        """Return the refusal in the service's own words."""
        if not isinstance(self.body, dict):
            return str(self.status)
        said = [self.body.get("detail") or self.body.get("title")]
        said += [
            wire.dumps(self.body[key]).decode() for key in ("errors", "lines") if key in self.body
        ]
        return f"{self.status} {self.code}: " + " ".join(text for text in said if text)


@dataclass(slots=True)
class Token:
    text: str
    renew_at: float


@dataclass(slots=True)
class Transport:
    url: str
    username: str
    password: str = field(repr=False)
    stop: threading.Event = field(default_factory=threading.Event)
    on_trouble: Callable[[str], None] = lambda _: None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: threading.local = field(default_factory=threading.local)
    _token: Token | None = None

    def knock(self) -> None:
        """Raise Failed soon if nobody is there at all, rather than after the usual patience."""
        try:
            self._insist("GET", LIVE, None, None, None, PATIENCE_AT_FIRST_SECONDS)
        except Failed as failure:
            raise Failed(
                f"{failure}. scripts/status tells whether the services run, and where; "
                "--url names another address."
            ) from failure

    def get(self, path: str, **params) -> Answer:
        return self.call("GET", path, params=params)

    def post(self, path: str, body: dict) -> Answer:
        return self.call("POST", path, data=wire.dumps(body))

    def call(self, method: str, path: str, *, params=None, data=None) -> Answer:
        """Return a definite answer: 2xx, or a 4xx. Raises Failed when there is none to be had."""
        token = self.token()
        answer = self._insist(method, path, token, params, data)
        if answer.status == 401:
            token = self.token(instead_of=token)
            answer = self._insist(method, path, token, params, data)
        if answer.status in (401, 403):
            raise Failed(f"{method} {path} was refused to {self.username}: {answer.describe()}")
        return answer

    def token(self, instead_of: str | None = None) -> str:
        """Return an access token that still lasts a while, other than the one that was refused."""
        with self._lock:
            kept = self._token
            if kept and kept.text != instead_of and time.monotonic() < kept.renew_at:
                return kept.text
            self._token = self._log_in()
            return self._token.text

    def wait(self, seconds: float) -> None:
        """Let time pass, unless the import is told to stop."""
        if self.stop.wait(seconds):
            raise Stopped

    def _log_in(self) -> Token:
        data = wire.dumps({"username": self.username, "password": self.password})
        asked_at = time.monotonic()
        answer = self._insist("POST", TOKENS, None, None, data)
        if not answer.ok:
            raise Failed(f"{self.url} did not log {self.username} in: {answer.describe()}")
        lasts = max(answer.body["expires_in"] - RENEW_BEFORE_SECONDS, 1)
        return Token(answer.body["access_token"], asked_at + lasts)

    def _insist(
        self, method, path, token, params, data, patience: float = PATIENCE_SECONDS
    ) -> Answer:
        give_up_at = time.monotonic() + patience
        tries = 0
        while True:
            if self.stop.is_set():
                raise Stopped
            answer = self._try_once(method, path, token, params, data)
            if isinstance(answer, Answer):
                return answer
            if time.monotonic() > give_up_at:
                raise Failed(f"{method} {self.url}{path}: {answer.why}, {tries + 1} times")
            self.on_trouble(f"{method} {path}: {answer.why}; trying again")
            self.stop.wait(max(pause(tries), min(answer.wait, LONGEST_PAUSE_SECONDS)))
            tries += 1

    def _try_once(self, method, path, token, params, data) -> "Answer | Unknown":
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            response = self._session().request(
                method,
                self.url + path,
                params=params,
                data=data,
                headers=headers,
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            return Unknown(f"no answer ({why_no_answer(error)})")
        return interpret(response)

    def _session(self) -> requests.Session:
        """Return this thread's own session. Sessions are not made to be shared, and without
        `trust_env` each call saves the search for proxies and .netrc."""
        if not hasattr(self._threads, "session"):
            session = requests.Session()
            session.trust_env = False
            session.headers.update(
                {"Content-Type": "application/json", "User-Agent": "quartet-import-trade"}
            )
            self._threads.session = session
        return self._threads.session


@dataclass(frozen=True, slots=True)
class Unknown:
    """No definite answer: whether the call took effect is not known."""

    why: str
    wait: float = 0


def why_no_answer(error: requests.RequestException) -> str:
    """Return what the operating system or TLS said, in place of the names of Python's classes."""
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT_SECONDS:.0f} s"
    if isinstance(error, requests.Timeout):
        return f"connected, but silent for {ANSWER_SECONDS} s"
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def interpret(response: requests.Response) -> Answer | Unknown:
    """Tell a definite answer of a service from one that leaves the outcome open.

    An answer in another shape than the API's, or a front door that knows no such route, is none
    of the service's answers.
    """
    wait = response.headers.get("Retry-After", "")
    try:
        body = wire.loads(response.content) if response.content else None
    except wire.MalformedJson:
        return Unknown(f"{response.status_code} that is no JSON")
    answer = Answer(response.status_code, body)

    if answer.ok:
        return answer
    if 400 <= answer.status < 500 and answer.status != 429 and answer.code not in UNDECIDED:
        return answer
    return Unknown(f"{answer.status} {answer.code}".rstrip(), int(wait) if wait.isdigit() else 0)


def pause(tries: int) -> float:
    """Return seconds to wait, with full jitter so that the threads do not return in step."""
    return random.uniform(0, min(FIRST_PAUSE_SECONDS * 2**tries, LONGEST_PAUSE_SECONDS))
