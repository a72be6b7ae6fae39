"""Load shedding: a public request that has waited too long is refused before Flask sees it.

Nginx stamps each request as it passes it on; the time since then was spent in the listen queue. In
an overload the oldest requests are refused for some microseconds each, so that all others are
answered in time and the threads are never idle. Health and the other services are always served:
an operator needs to know, and orders must come to their ends.
https://queue.acm.org/detail.cfm?id=2839461
"""

import time

from chassis import bodies, context, listener, metrics, wire

# Clients give up after 10 s, a request may take 5 s, and people lose patience sooner.
WAIT_SECONDS = 1.5
# A queue that stands for less is not overload: a restart, or a virtual machine that was paused.
STANDING_SECONDS = 2.0

_BODY = {
    "type": "/problems/unavailable",
    "title": "Too many requests are waiting already",
    "status": 503,
    "detail": "Too many requests are waiting already",
    "code": "unavailable",
}


class Shedder:
    """A WSGI application that refuses what has waited too long, and passes on everything else.

    wsgi_app: the application behind it. One Shedder serves all threads of a process.
    """

    def __init__(self, wsgi_app):
        self._wsgi_app = wsgi_app
        self._late_since = None  # on the monotonic clock; None: the last request was in time

    def __call__(self, environ, start_response):
        if not _must_be_served(environ) and self._is_too_late(environ):
            metrics.requests_shed().inc()
            answer = _refusal(environ, start_response)
            bodies.read_to_the_end(environ)
            return answer
        return self._wsgi_app(environ, start_response)

    def _is_too_late(self, environ):
        if _seconds_waited(environ) <= WAIT_SECONDS:
            self._late_since = None
            return False
        now = time.monotonic()
        since = self._late_since
        if since is None:
            since = self._late_since = now
        return now - since >= STANDING_SECONDS


def _seconds_waited(environ):
    """Return 0 where nothing stamps requests: in tests, and when uWSGI is asked directly."""
    try:
        return time.time() - float(environ["QUARTET_PASSED_ON"])
    except (KeyError, ValueError):
        return 0.0


def _must_be_served(environ):
    return listener.is_internal() or environ["PATH_INFO"].startswith("/health/")


def _refusal(environ, start_response):
    request_id = context.accepted_request_id(environ.get("HTTP_X_REQUEST_ID"))
    body = wire.dumps({**_BODY, "request_id": request_id})
    headers = [
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("Retry-After", "1"),
    ]
    start_response("503 Service Unavailable", headers)
    return [body]
