"""Errors are facts with a stable code. Business code raises them, `chassis.problems` answers them.

They know their HTTP status so that nobody has to map them twice, and nothing else of HTTP.
"""

import math

MOST_ERRORS = 50  # that the answer to an invalid request lists


class Problem(Exception):
    """What went wrong, in the terms of RFC 9457.

    detail: one sentence for a human. extra: further members of the answer, JSON values, part of
    the contract of the code (`lines` of `out_of_stock`).
    """

    status = 500
    code = "internal_error"
    title = "Internal error"

    def __init__(self, detail=None, **extra):
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.extra = extra


class Unauthenticated(Problem):
    status, code, title = 401, "unauthenticated", "A valid access token is needed"


class TokenExpired(Unauthenticated):
    code, title = "token_expired", "The access token has expired"


class Forbidden(Problem):
    status, code, title = 403, "forbidden", "Not allowed"


class NotFound(Problem):
    status, code, title = 404, "not_found", "There is no such thing, or it is not yours"


def present(found):
    """Return what was found. Raises NotFound if it is None."""
    if found is None:
        raise NotFound
    return found


class NoRoute(Problem):
    status, code, title = 404, "no_route", "There is no such path"


class Conflict(Problem):
    status, code, title = 409, "conflict", "This contradicts the present state"


class PreconditionFailed(Problem):
    status, code, title = 412, "precondition_failed", "It is not the version that was expected"


class Invalid(Problem):
    """Well-formed but unacceptable. `errors` is nested like the request: `{"json": {...}}`."""

    status, code, title = 422, "invalid", "The request is not valid"


class TooManyRequests(Problem):
    """The caller has asked too often. pause_seconds: how long to wait before the next request."""

    status, code, title = 429, "too_many_requests", "Too many requests"
    pause_seconds = 0

    @property
    def retry_after(self):
        """Whole seconds, the answer's `Retry-After`."""
        return max(1, math.ceil(self.pause_seconds))


class Unavailable(Problem):
    """A dependency did not answer: whether it did the work is unknown. Asking again may help.

    pause_seconds: for how long it is of no use to ask again, 0 if that is not known.
    """

    status, code, title = 503, "unavailable", "Temporarily unavailable"
    pause_seconds = 0

    @property
    def retry_after(self):
        """Whole seconds, the answer's `Retry-After`."""
        return max(1, math.ceil(self.pause_seconds))


class NotTried(Unavailable):
    """A dependency is away, so this piece of work was not tried: it counts as no attempt."""
