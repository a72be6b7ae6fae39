"""Every error leaves in one shape: RFC 9457 `application/problem+json`, with a stable code."""

import logging
from itertools import islice

from flask import current_app
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException

from chassis import context, wire
from chassis.errors import (
    MOST_ERRORS,
    Invalid,
    Problem,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)

log = logging.getLogger(__name__)

_LONGEST_NAME = 100  # of a field, in characters: a client can send a name of a megabyte

# What an error says by a header that the service takes instead.
_OFFERS = ("Allow", "Accept-Encoding", "Accept-Patch")

# What Flask and Werkzeug raise by themselves, in our words.
_CODES = {
    400: "malformed_request",
    404: "no_route",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "request_timeout",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    431: "headers_too_large",
    500: "internal_error",
    501: "not_implemented",
    503: "unavailable",
}


def init_app(app):
    """Answer our own errors, Werkzeug's, and the unforeseen, all in the same shape."""
    app.register_error_handler(Problem, _from_problem)
    app.register_error_handler(HTTPException, from_http_exception)
    app.register_error_handler(Exception, _from_mistake)


def body_of(status, code, title, detail=None, request_id=None, extra=None):
    """Return the body of an error, ready for JSON. extra: further members, JSON values."""
    return {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail or title,
        "code": code,
        "request_id": request_id,
        **(extra or {}),
    }


def problem_response(status, code, title, detail=None, headers=None, extra=None):
    """Return the answer for an error. extra: further members, JSON values.

    The answer remembers the code as its attribute `problem`.
    """
    body = body_of(status, code, title, detail, context.request_id.get(), extra)
    response = current_app.response_class(
        wire.dumps(body), status=status, mimetype="application/problem+json"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers.update(headers or {})
    response.problem = code
    return response


def _from_problem(problem):
    if isinstance(problem, Invalid):
        return _invalid(problem.extra["errors"])
    headers = {}
    if isinstance(problem, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(problem, (TooManyRequests, Unavailable)):
        headers["Retry-After"] = str(problem.retry_after)
    return problem_response(
        problem.status, problem.code, problem.title, problem.detail, headers, problem.extra
    )


def from_http_exception(error):
    """Return the answer for one of Werkzeug's exceptions, with its headers of _OFFERS."""
    if isinstance(error.code, int) and 300 <= error.code < 400:
        return error  # a redirect is an answer, not an error
    invalid = getattr(error, "exc", None)
    if isinstance(invalid, ValidationError):
        return _invalid(error.data["messages"])
    offered = error.get_response().headers
    return problem_response(
        error.code,
        _CODES.get(error.code, "error"),
        error.name,
        error.description if error.code != 500 else None,
        {name: offered[name] for name in _OFFERS if name in offered},
    )


def _invalid(errors):
    """Return the answer for errors as marshmallow nests them: {field: {field: [message]}}."""
    listed = list(islice(_flat(errors), MOST_ERRORS + 1))
    detail = "`errors` says what is wrong, and where"
    if len(listed) > MOST_ERRORS:
        detail += f". There are more errors than the {MOST_ERRORS} that are listed"
    nested = _nested(listed[:MOST_ERRORS])
    return problem_response(
        Invalid.status, Invalid.code, Invalid.title, detail, extra={"errors": nested}
    )


def _flat(errors, path=()):
    """Yield each message with the names that lead to it."""
    if isinstance(errors, dict):
        for key, value in errors.items():
            yield from _flat(value, (*path, _name(key)))
    else:
        for message in errors:
            yield path, message


def _nested(listed):
    errors = {}
    for path, message in listed:
        place = errors
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place.setdefault(path[-1], []).append(message)
    return errors


def _name(key):
    """Return a key as JSON can hold it: the number of an entry, or a name of the client's."""
    return str(key)[:_LONGEST_NAME].encode(errors="replace").decode()


def _from_mistake(error):
    log.error("unforeseen error", exc_info=error)
    return problem_response(500, "internal_error", "Internal error")
