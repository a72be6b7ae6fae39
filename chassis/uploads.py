"""Routes that take a file: the body is the file, and is never in memory as a whole.

    @products.route("/<int:product_id>/image", methods=["PUT"])
    @allow("admin")
    @upload("image/png", "image/jpeg")
    @products.response(200, ProductView)
    def put_image(product_id, stream):
        return logic.put_image(product_id, stream)

Nginx takes the whole of it before a thread of ours hears of it. Before that, it asks without the
body whether the route would take anything from this sender (nginx/snippets/product_images.conf).
"""

from functools import wraps

from flask import Response, request

from chassis.errors import UnsupportedMedia

MOST_BYTES = 75 * 2**20  # as Nginx reads its `75m`

_UNTYPED = frozenset({"", "application/octet-stream"})
_OTHER_NAMES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg"}  # as some clients write
_WHY_NOT = "Quartet-Problem"
_TOLD_BY_NGINX = frozenset({401, 403})  # auth_request takes any other status for a failure


def upload(*content_types):
    """Hand a file to the route, as `stream`, whose read(size) gives bytes.

    content_types: what may be declared, beside nothing at all; what it really is, is for the logic
    to find out. A larger body than MOST_BYTES is a 413.
    """

    def decorate(view):
        @wraps(view)
        def take(**arguments):
            if _is_question():
                return "", 204
            declared = _OTHER_NAMES.get(request.mimetype, request.mimetype)
            if declared not in _UNTYPED.union(content_types):
                raise UnsupportedMedia(f"Send one of {', '.join(content_types)}")
            return view(**arguments, stream=request.stream)

        take.most_bytes = MOST_BYTES
        _document(take, content_types)
        return take

    return decorate


def init_app(app):
    """Tell Nginx the code of a refusal, where it cannot read the body."""
    app.after_request(_tell_why_not)


def _is_question():
    return request.environ.get("QUARTET_UPLOAD") == "asked"


def _tell_why_not(response):
    if not _is_question():
        return response
    if 400 <= response.status_code < 500 and response.status_code not in _TOLD_BY_NGINX:
        return Response(status=204)  # the upload itself gets this answer
    if response.status_code >= 400:
        response.headers[_WHY_NOT] = response.json["code"]
    return response


def _document(view, content_types):
    docs = view.__dict__.setdefault("_apidoc", {})
    schema = {"type": "string", "format": "binary"}
    body = {"required": True, "content": {name: {"schema": schema} for name in content_types}}
    manual = {**docs.get("manual_doc", {}), "requestBody": body}
    view._apidoc = {**docs, "manual_doc": manual}
