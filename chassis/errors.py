"""Errors are facts with a stable code. Business code raises them, `chassis.problems` answers them.

They know their HTTP status so that nobody has to map them twice, and nothing else of HTTP.
"""

import math

MOST_ERRORS = 50  # that the answer to an invalid request lists


class Problem(Exception):
    """What went wrong, in the terms of RFC 9457.

    detail: one sentence for a human. extra: further members of the answer, JSON values, part of
    the contract of the code (`lines` of `out_of_stock`).

    `advice` says in the documents what a client does after the error. `example` shows the extra
    members there.
    """

    status = 500
    code = "internal_error"
    title = "Internal error"
    advice = "Report the `request_id` to the operator of the service."
    example = {}

    def __init__(self, detail=None, **extra):
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.extra = extra


class MalformedRequest(Problem):
    """The request is no HTTP, or no UTF-8. The web server or the framework answers it."""

    status, code, title = 400, "malformed_request", "Bad Request"
    advice = "Correct the client: it sends something that is not HTTP, or not UTF-8."


class MalformedJsonProblem(Problem):
    status, code, title = 400, "malformed_json", "The body is not valid JSON"
    advice = "Send one JSON object in UTF-8. `detail` says where the first error is."


class Unauthenticated(Problem):
    status, code, title = 401, "unauthenticated", "A valid access token is needed"
    advice = "Get an access token with `POST /tokens` of the users service, and send it."


class TokenExpired(Unauthenticated):
    code, title = "token_expired", "The access token has expired"
    advice = "Get new tokens with `POST /tokens/refresh` of the users service, and try again."


class Forbidden(Problem):
    status, code, title = 403, "forbidden", "Not allowed"
    advice = "Use an account that may do this, or leave out the fields that it may not set."


class NotFound(Problem):
    status, code, title = 404, "not_found", "There is no such thing, or it is not yours"
    advice = "Check the address. A customer gets the same answer for resources of other users."


def present(found):
    """Return what was found. Raises NotFound if it is None."""
    if found is None:
        raise NotFound
    return found


class NoRoute(Problem):
    status, code, title = 404, "no_route", "There is no such path"
    advice = "Compare the path with this document."


class Conflict(Problem):
    status, code, title = 409, "conflict", "This contradicts the present state"
    advice = "Read the resource again, and decide by its present state."


class PreconditionFailed(Problem):
    status, code, title = 412, "precondition_failed", "It is not the version that was expected"
    advice = "Read the resource again, and repeat the change with the new `ETag`."


class TooLarge(Problem):
    """The body is beyond the limit. The web server or the framework answers it."""

    status, code, title = 413, "too_large", "Content Too Large"
    advice = "Send a smaller body."


class UnsupportedMedia(Problem):
    status, code, title = 415, "unsupported_media_type", "Unsupported Media Type"
    advice = "Send a content type that this document names, and do not compress the body."


class Invalid(Problem):
    """Well-formed but unacceptable. `errors` is nested like the request: `{"json": {...}}`."""

    status, code, title = 422, "invalid", "The request is not valid"
    advice = "Correct the fields that `errors` names; it is nested like the request."
    example = {
        "detail": "`errors` says what is wrong, and where",
        "errors": {"query": {"colour": ["Unknown field."]}},
    }


class TooManyRequests(Problem):
    """The caller has asked too often. pause_seconds: how long to wait before the next request."""

    status, code, title = 429, "too_many_requests", "Too many requests"
    advice = "Wait for as many seconds as `Retry-After` says, then try again."
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
    advice = (
        "Wait for as many seconds as `Retry-After` says, then try again. The work may have been "
        "done, so repeat a POST with the same `Idempotency-Key`."
    )
    pause_seconds = 0

    @property
    def retry_after(self):
        """Whole seconds, the answer's `Retry-After`."""
        return max(1, math.ceil(self.pause_seconds))


class NotTried(Unavailable):
    """A dependency is away, so this piece of work was not tried: it counts as no attempt."""
