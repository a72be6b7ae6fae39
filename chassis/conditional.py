"""Conditional requests (RFC 9110, section 13): nothing is sent twice, or overwritten unseen.

    @products.route("/<int:product_id>", methods=["PATCH"])
    @allow("admin")
    @conditional
    @products.arguments(ProductChange)
    @products.response(200, ProductView)
    def change_product(body, product_id, expected):
        return logic.edit_product(product_id, expected, **body)

An answer that shows a resource bears its `ETag`; a GET whose `If-None-Match` names it gets 304.
The view of a PUT, PATCH or DELETE is handed `expected`, what its `If-Match` says; the logic lets
it check the version of the row that it has locked.

A tag is `"<version>-<hash>"`, or `"<hash>"` for what has no version. The hash is of the whole
representation: a sale changes the stock, so it gives 200 and not 304. `If-Match` compares the
version alone: that counts what people edit, so an edit which was begun before a sale still passes,
and overwrites nothing, for nobody edits the stock.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import wraps

from flask import request
from flask_smorest.utils import get_appcontext

from chassis.errors import PreconditionFailed

_HASH_BYTES = 10
_TAG = re.compile(rf"([1-9][0-9]{{0,18}})-[0-9a-f]{{{2 * _HASH_BYTES}}}")
_READS = frozenset({"GET", "HEAD"})
_EDITS = frozenset({"PUT", "PATCH", "DELETE"})

_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "Do it only if the version is that of this ETag, or of one of these; "
    "`*` is any. What changes without an edit (stock) does not matter",
    "schema": {"type": "string"},
    "example": '"3-9c56cc51b374c3ba1895"',
}
_IF_MATCH_FILE = {
    **_IF_MATCH,
    "description": "Do it only if this, or one of these, is the ETag still; `*` is any",
    "example": '"6a1f9c0e-4b1c"',
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "Answer 304 if this, or one of these, is the ETag still",
    "schema": {"type": "string"},
    "example": '"3-9c56cc51b374c3ba1895"',
}
_ETAG = {
    "description": "Changes with every change of what is shown",
    "schema": {"type": "string"},
    "example": '"3-9c56cc51b374c3ba1895"',
}


@dataclass(frozen=True, slots=True)
class Expected:
    """What a caller believes to change. versions: a set of whole numbers, None for any."""

    versions: frozenset | None = None

    def check(self, version):
        """Raise PreconditionFailed unless this version is one that was expected."""
        if self.versions is not None and version not in self.versions:
            raise PreconditionFailed(f"It has been changed: it is at version {version}")


@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """What a caller believes to replace. tags: a set, None for any; `*` is any that is there."""

    tags: frozenset | None = None

    def check(self, tag):
        """Raise PreconditionFailed unless this tag was expected. tag: None if there is no file."""
        if self.tags is None or tag in self.tags or (tag and "*" in self.tags):
            return
        raise PreconditionFailed(f"Its tag is {tag}" if tag else "There is no such file")


def conditional(view):
    """Give a route of one resource its ETag, 304 and 412.

    view: answers with a schema's `response`, below this decorator. For PUT, PATCH and DELETE it
    takes one more argument, `expected`: an Expected.
    """

    @wraps(view)
    def answer(*args, **kwargs):
        if request.method in _EDITS:
            kwargs["expected"] = _expected()
        response = view(*args, **kwargs)
        # behind a question mark stands another view of the resource (`expand`)
        if request.method != "DELETE" and not request.args:
            _tag(response)
        return response

    answer._apidoc = {**getattr(view, "_apidoc", {}), "conditional": True}
    return answer


def conditional_file(view):
    """Give a route of a file that Nginx serves its 412; the ETag and 304 are Nginx's.

    view: for PUT and DELETE it takes one more argument, `expected`: an ExpectedFile.
    """

    @wraps(view)
    def answer(*args, **kwargs):
        if request.method in _EDITS:
            kwargs["expected"] = _expected_file()
        return view(*args, **kwargs)

    answer._apidoc = {**getattr(view, "_apidoc", {}), "conditional": "file"}
    return answer


def document(doc, info, *, method, **_):
    """Describe it in OpenAPI; flask-smorest calls this for each operation."""
    if not info.get("conditional"):
        return doc
    method = method.upper()
    if method in _READS:
        doc.setdefault("parameters", []).append(_IF_NONE_MATCH)
        doc["responses"][304] = "NOT_MODIFIED"
    if method in _EDITS:
        condition = _IF_MATCH_FILE if info["conditional"] == "file" else _IF_MATCH
        doc.setdefault("parameters", []).append(condition)
        doc["responses"][412] = "PRECONDITION_FAILED"
    for status, response in doc["responses"].items():
        if status in (200, 201, 202):
            response.setdefault("headers", {})["ETag"] = _ETAG
    return doc


def _expected():
    if "If-Match" not in request.headers:
        return Expected()
    tags = request.if_match
    if tags.star_tag:
        return Expected()  # that it exists is checked anyway
    strong = (_TAG.fullmatch(tag or "") for tag in tags)  # Werkzeug reads `""` as None
    return Expected(frozenset(int(found[1]) for found in strong if found))


def _expected_file():
    if "If-Match" not in request.headers:
        return ExpectedFile()
    tags = request.if_match
    if tags.star_tag:
        return ExpectedFile(frozenset("*"))
    return ExpectedFile(frozenset(f'"{tag}"' for tag in tags))


def _tag(response):
    shown = get_appcontext()["result_dump"]
    tag = hashlib.blake2b(response.data, digest_size=_HASH_BYTES).hexdigest()
    if version := shown.get("version"):
        tag = f"{version}-{tag}"
    response.headers["ETag"] = f'"{tag}"'
    if request.method in _READS and request.if_none_match.contains_weak(tag):
        response.status_code = 304
