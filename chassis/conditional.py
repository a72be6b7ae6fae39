"""Conditional requests (RFC 9110, section 13): nothing is sent twice, or overwritten unseen.

    @products.route("/<int:product_id>", methods=["PATCH"])
    @allow("admin")
    @conditional
    @products.arguments(ProductChange)
    @products.response(200, ProductView)
    def change_product(body, product_id, expected):
        return logic.edit_product(product_id, expected, **body)

An answer that shows a resource has its `ETag`; a GET whose `If-None-Match` names it gets 304. The
view of a PUT, PATCH or DELETE gets one more argument, `expected`: the preconditions of the request.
The logic lets it check the row that it has locked.

A tag is `"<version>-<hash>"`, or `"<hash>"` for a resource without a version. The hash is of the
whole representation, so a sale, which changes the stock, gives 200 and not 304. A write compares
versions alone. A version counts edits, so an edit that was begun before a sale still passes; it
overwrites nothing, because no request edits the stock.

No answer has a `Last-Modified`: a sale changes a product without an edit, and dates know only whole
seconds. So reads ignore dates. A write compares `If-Unmodified-Since` with the last edit.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from functools import wraps

from flask import request
from flask_smorest.utils import get_appcontext

from chassis.errors import PreconditionFailed

ANY = "*"

_HASH_BYTES = 10
_UNTAGGED = ""  # what exists and has no tag: only `*` names it
_TAG = re.compile(rf"([1-9][0-9]{{0,18}})-[0-9a-f]{{{2 * _HASH_BYTES}}}")
_READS = frozenset({"GET", "HEAD"})
_EDITS = frozenset({"PUT", "PATCH", "DELETE"})


def _header(name, example, description):
    schema = {"type": "string"}
    return {
        "in": "header",
        "name": name,
        "description": description,
        "schema": schema,
        "example": example,
    }


_TAG_EXAMPLE, _FILE_EXAMPLE = '"3-9c56cc51b374c3ba1895"', '"3-4b1c"'
_TO_READ = [
    _header(
        "If-None-Match", _TAG_EXAMPLE, "Answer 304 if this, or one of these, is the ETag still"
    ),
    _header("If-Match", _TAG_EXAMPLE, "Answer 412 unless this, or one of these, is the ETag still"),
]
_TO_EDIT = [
    _header(
        "If-Match",
        _TAG_EXAMPLE,
        "Do it only if the version is that of this ETag, or of one of these; `*` is any. What "
        "changes without an edit (stock) does not matter",
    ),
    _header(
        "If-None-Match",
        _TAG_EXAMPLE,
        "Do it only if the version is not that of this ETag, nor of one of these; `*` is any",
    ),
    _header(
        "If-Unmodified-Since",
        "Sat, 31 Jan 2026 09:30:00 GMT",
        "Do it only if the last edit (`updated_at`) is not later. Ignored beside `If-Match`. Send "
        "the `Date` of the answer that was read",
    ),
]
_TO_REPLACE = [
    _header(
        "If-Match",
        _FILE_EXAMPLE,
        "Do it only if this, or one of these, is the ETag still; `*` is any",
    ),
    _header(
        "If-None-Match",
        _FILE_EXAMPLE,
        "Do it only if neither this nor one of these is the ETag; with `*`, only if there is no "
        "file yet",
    ),
]
_ETAG = {
    "description": "Changes with every change of what is shown",
    "schema": {"type": "string"},
    "example": _TAG_EXAMPLE,
}


@dataclass(frozen=True, slots=True)
class Expected:
    """The preconditions of a request.

    if_match, if_none_match: frozensets of the versions, or of the tags, that the header names, with
    ANY for `*`; None without the header. unmodified_since: a datetime, or None.
    """

    if_match: frozenset | None = None
    if_none_match: frozenset | None = None
    unmodified_since: datetime | None = None

    def check(self, current, modified=None):
        """Raise PreconditionFailed unless every condition is true.

        Args:
            current: the version or the tag of the resource, None if it does not exist.
            modified: when it was last edited, a datetime; None if that is not known.
        """
        if header := self.first_false(current, modified):
            state = "does not exist" if current is None else f"is at {current or 'no tag'}"
            raise PreconditionFailed(f"`{header}` is false: the resource {state}")

    def first_false(self, current, modified=None):
        """Return the name of the first header whose condition is false, or None.

        The order is that of RFC 9110, 13.2.2. `If-Modified-Since` needs a date, and no resource
        that can be read has one, so section 13.1.3 has it ignored. Arguments as for `check`.
        """
        if self.if_match is not None:
            if not _names(self.if_match, current):
                return "If-Match"
        elif self.unmodified_since and modified and modified > self.unmodified_since:
            return "If-Unmodified-Since"
        if self.if_none_match is not None and _names(self.if_none_match, current):
            return "If-None-Match"
        return None


def conditional(view):
    """Evaluate the preconditions of a route of one resource, and tag its answers.

    view: answers with a schema's `response`, below this decorator. For PUT, PATCH and DELETE it
    takes one more argument, `expected`: an Expected about the version and date of a row.
    """

    @wraps(view)
    def answer(*args, **kwargs):
        if request.method in _EDITS:
            kwargs["expected"] = _expected(_version_in)
        response = view(*args, **kwargs)
        # behind a question mark is another view of the resource (`expand`), which has no tag
        is_other_view = any(request.args.values())
        tag = None if request.method == "DELETE" or is_other_view else _tag_of(response)
        if tag:
            response.headers["ETag"] = tag
        return _read(response, tag) if request.method in _READS else response

    answer._apidoc = {**getattr(view, "_apidoc", {}), "conditional": True}
    return answer


def conditional_file(view):
    """Evaluate the preconditions of a route of a file. Nginx reads the file, so it does for reads.

    view: for PUT and DELETE it takes one more argument, `expected`: an Expected about the file's
    tag.
    """

    @wraps(view)
    def answer(*args, **kwargs):
        if request.method in _EDITS:
            kwargs["expected"] = _expected(_whole)
        return view(*args, **kwargs)

    answer._apidoc = {**getattr(view, "_apidoc", {}), "conditional": "file"}
    return answer


def document(doc, info, *, method, **_):
    """Describe it in OpenAPI; flask-smorest calls this for each operation."""
    if not info.get("conditional"):
        return doc
    method = method.upper()
    if method in _READS:
        doc.setdefault("parameters", []).extend(_TO_READ)
        doc["responses"][304] = "NOT_MODIFIED"
    if method in _EDITS:
        headers = _TO_REPLACE if info["conditional"] == "file" else _TO_EDIT
        doc.setdefault("parameters", []).extend(headers)
    if method in _READS | _EDITS:
        doc["responses"][412] = "PRECONDITION_FAILED"
    for status, response in doc["responses"].items():
        if status in (200, 201, 202):
            response.setdefault("headers", {})["ETag"] = _ETAG
    return doc


def _expected(named_by):
    """Return the request's preconditions. named_by: what a tag names, None if nothing of ours."""
    return Expected(
        _named(request.if_match, "If-Match", named_by, strongly=True),
        _named(request.if_none_match, "If-None-Match", named_by, strongly=False),
        request.if_unmodified_since,
    )


def _named(tags, header, named_by, *, strongly):
    if header not in request.headers:
        return None
    if tags.star_tag:
        return frozenset([ANY])
    found = map(named_by, filter(None, tags.as_set(include_weak=not strongly)))
    return frozenset(found) - {None}


def _names(named, current):
    return current is not None and (ANY in named or current in named)


def _version_in(tag):
    found = _TAG.fullmatch(tag)
    return int(found[1]) if found else None


def _whole(tag):
    return f'"{tag}"'


def _tag_of(response):
    shown = get_appcontext()["result_dump"]
    tag = hashlib.blake2b(response.data, digest_size=_HASH_BYTES).hexdigest()
    if version := shown.get("version"):
        tag = f"{version}-{tag}"
    return f'"{tag}"'


def _read(response, tag):
    expected, current = _expected(_whole), tag or _UNTAGGED
    if expected.first_false(current) == "If-None-Match":
        response.status_code = 304
    else:
        expected.check(current)
    return response
