"""Each request begins here: its id, its trace, its deadline; and ends here, as one line of log."""

import logging
import time

from flask import g, request

from chassis import context, listener
from chassis.http import DEADLINE_HEADER

log = logging.getLogger("access")

REQUEST_SECONDS = 5.0
_QUIET = ("/health/", "/metrics")


def init_app(app):
    """Open the request's context before everything else, log it after everything else."""
    app.before_request(_begin)
    app.after_request(_log)
    app.teardown_request(_end)


def _begin():
    g.began = time.monotonic()
    g.work = context.work(
        request=context.accepted_request_id(request.headers.get("X-Request-ID")),
        trace=request.headers.get("traceparent"),
        seconds=_seconds_allowed(request.headers.get(DEADLINE_HEADER)),
    )
    g.work.__enter__()


def _seconds_allowed(header):
    """The remaining time of the service that calls, but never more than our own limit."""
    if not listener.is_internal():
        return REQUEST_SECONDS
    try:
        return min(REQUEST_SECONDS, max(0.0, float(header)))
    except (TypeError, ValueError):
        return REQUEST_SECONDS


def _log(response):
    rule = request.url_rule.rule if request.url_rule else None
    level = logging.DEBUG if rule and rule.startswith(_QUIET) else logging.INFO
    log.log(
        level,
        "request",
        extra={
            "method": request.method,
            "route": rule,
            "status": response.status_code,
            "duration_ms": round((time.monotonic() - g.began) * 1000, 1),
            "actor": context.actor.get(),
        },
    )
    return response


def _end(_error):
    if work := g.pop("work", None):
        work.__exit__(None, None, None)
