"""OpenAPI documents that follow from the code: who may call an operation, and how it can fail.

The decorators of a route say both: `allow`, `callers` and `public` of chassis.auth say who may call
it, and `raises` of a chassis.api.Blueprint names its own errors. The errors that follow from its
parameters and its body are added here. flask-smorest makes the rest of a document, and `complete`
finishes it.
"""

import re

from chassis import idempotency, wire
from chassis.errors import (
    Forbidden,
    Invalid,
    MalformedJsonProblem,
    MalformedRequest,
    NotFound,
    PreconditionFailed,
    Problem,
    TokenExpired,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)
from chassis.idempotent_routes import KEY_HEADER
from chassis.pagination import BadCursor
from chassis.problems import body_of
from chassis.settings import SERVICES

PROBLEM = "application/problem+json"

EVERYWHERE = (
    MalformedRequest,
    TooLarge,
    UnsupportedMedia,
    TooManyRequests,
    Problem,
    Unavailable,
)
_WITH_KEY = (
    idempotency.BadIdempotencyKey,
    idempotency.RequestInProgress,
    idempotency.AnswerNotKept,
    idempotency.IdempotencyKeyReused,
)

_NOTES = "x-quartet"
_TO_KEEP = ("|", "<", "```")  # how tables, HTML and code begin
_REQUEST_ID = "3f2a9c0de1b24c6f"
_ABSENT_ID = 1_000_000_000  # a first click on DELETE must not delete anything
_WORDS = {
    "anyone": "everybody",
    "user": "customers and administrators",
    "admin": "administrators",
    **{service: f"{service} on the internal listener" for service in SERVICES},
}
_HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "example": "Bearer"}},
    429: {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds", "example": 1}},
}
_HEADERS[503] = _HEADERS[429]


class _InvalidBody(Invalid):
    example = {**Invalid.example, "errors": {"json": {"colour": ["Unknown field."]}}}


def note(doc, info, **_):
    """Keep what the decorators say for `complete`; flask-smorest calls this for each operation."""
    doc[_NOTES] = {name: info.get(name, ()) for name in ("who", "security", "raises")}
    return doc


def complete(document):
    """Finish a document of flask-smorest, in place.

    Returns the errors that its operations name: classes of Problem, each once.
    """
    named = dict.fromkeys(EVERYWHERE)
    for item in document["paths"].values():
        in_path = item.pop("parameters", [])
        for method, operation in item.items():
            notes = operation.pop(_NOTES)
            operation["parameters"] = [
                *(_in_path(parameter, method) for parameter in in_path),
                *map(_without_sample, operation.get("parameters", [])),
            ]
            if notes["security"]:
                operation["security"] = notes["security"]
            kinds = [*notes["raises"], *_implied(operation, in_path, notes)]
            _describe(operation, notes["who"], kinds)
            named.update(dict.fromkeys(kinds))
    shared = document["components"].setdefault("responses", {})
    shared["DEFAULT_ERROR"] = _answer(EVERYWHERE, "Errors of any operation.")
    for unused in shared.keys() - {"DEFAULT_ERROR", "NOT_MODIFIED"}:
        del shared[unused]
    return list(named)


def codes_of(document):
    """Return {(method, path): the codes of all errors that it names} of a finished document."""
    shared = _codes(document["components"]["responses"]["DEFAULT_ERROR"])
    return {
        (method.upper(), path): shared.union(*map(_codes, operation["responses"].values()))
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def catalogue(kinds):
    """Return a table of errors in Markdown. kinds: classes of Problem."""
    rows = sorted({(kind.status, kind.code, kind.title, kind.advice) for kind in kinds})
    lines = [f"| {status} | `{code}` | {title}. {advice} |" for status, code, title, advice in rows]
    return "\n".join(["| status | code | meaning, and what to do |", "|---|---|---|", *lines])


def unwrapped(markdown):
    """Return Markdown with one line for each paragraph and each entry of a list.

    Swagger UI breaks a line wherever the text does.
    """
    return "\n\n".join(
        block if block.startswith(_TO_KEEP) else re.sub(r"\n(?!- ) *", " ", block)
        for block in markdown.split("\n\n")
    )


def _in_path(parameter, method):
    if "example" in parameter:
        return parameter
    thing = parameter["name"].removesuffix("_id").replace("_", " ")
    number = _ABSENT_ID if method == "delete" else 1
    return {**parameter, "description": f"The number of the {thing}", "example": number}


def _without_sample(parameter):
    """Return an optional parameter with its example in words.

    Swagger UI would send an `example`, which for a filter or a condition is rarely what was meant.
    """
    if parameter.get("required"):
        return parameter
    kept, schema = dict(parameter), dict(parameter["schema"])
    example = schema.pop("example", kept.pop("example", ""))
    if example != "":
        shown = example if isinstance(example, str) else wire.dumps(example).decode()
        kept["description"] = f"{kept['description'].rstrip('.')}. Example: `{shown}`"
    return {**kept, "schema": schema}


def _implied(operation, in_path, notes):
    """Yield the errors that follow from what an operation takes."""
    names = {parameter["name"] for parameter in operation["parameters"]}
    content = operation.get("requestBody", {}).get("content", {})
    if any(content_type.endswith("json") for content_type in content):
        yield MalformedJsonProblem
    if content:
        yield UnsupportedMedia
    if notes["security"]:
        yield from (Unauthenticated, TokenExpired)
    if notes["security"] and "anyone" not in notes["who"]:
        yield Forbidden
    if in_path:
        yield NotFound
    if "If-Match" in names:
        yield PreconditionFailed
    if "after" in names:
        yield BadCursor
    if KEY_HEADER in names:
        yield from _WITH_KEY
    yield _InvalidBody if content else Invalid


def _describe(operation, who, kinds):
    by_status = {}
    for kind in kinds:
        by_status.setdefault(kind.status, {})[kind] = None
    refusals = {str(status): _answer(by_status[status]) for status in sorted(by_status)}
    default = operation["responses"].pop("default")
    answers = {
        status: answer for status, answer in operation["responses"].items() if status < "400"
    }
    operation["responses"] = {**answers, **refusals, "default": default}
    named = ", ".join(
        f"`{kind.code}`" for status in sorted(by_status) for kind in by_status[status]
    )
    operation["description"] = "\n\n".join(
        (
            unwrapped(operation["description"]),
            f"**Who may call it:** {', and '.join(_WORDS[word] for word in who)}.",
            f"**Errors:** {named}. Each code has its meaning, its advice and its body below.",
        )
    )


def _answer(kinds, description=None):
    """Return the response for errors of one status, each with its own body."""
    lines = [f"`{kind.code}`: {kind.title}. {kind.advice}" for kind in kinds]
    if description:
        lines.insert(0, description)
    answer = {
        "description": "\n\n".join(lines),
        "content": {
            PROBLEM: {
                "schema": {"$ref": "#/components/schemas/ProblemView"},
                "examples": {kind.code: _example(kind) for kind in kinds},
            }
        },
    }
    [status, *others] = {kind.status for kind in kinds}
    if not others and status in _HEADERS:
        answer["headers"] = _HEADERS[status]
    return answer


def _example(kind):
    body = body_of(kind.status, kind.code, kind.title, request_id=_REQUEST_ID, extra=kind.example)
    return {"summary": kind.title, "value": body}


def _codes(response):
    content = response.get("content", {}).get(PROBLEM, {})
    return set(content.get("examples", ()))
