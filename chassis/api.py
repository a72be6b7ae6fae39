"""flask-smorest with our defaults: strict JSON in, exact JSON out, OpenAPI that tells the truth.

Services take their `Blueprint` from here.
"""

from functools import cached_property
from pathlib import Path

import flask
from flask.json.provider import JSONProvider
from flask_smorest import Api as SmorestApi
from flask_smorest import Blueprint as SmorestBlueprint
from marshmallow import INCLUDE, RAISE
from marshmallow.fields import Dict
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest, UnsupportedMediaType
from werkzeug.routing import IntegerConverter

from chassis import auth, conditional, openapi, wire
from chassis.errors import Invalid, MalformedJsonProblem, NotFound
from chassis.fields import LARGEST_ID, ListQuery, Schema, Text, Whole
from chassis.idempotent_routes import idempotent, takes_key
from chassis.openapi import PROBLEM
from chassis.problems import from_http_exception
from chassis.version import VERSION

MERGE_PATCH = "application/merge-patch+json"  # what every PATCH is: RFC 7396
JSON_PATCH = "application/json-patch+json"  # a list of steps instead of a resource: RFC 6902
_GUIDE = Path(__file__).with_name("guide.md")
_INTERNAL = "/internal"

_PAGING_HEADERS = {
    "X-Pagination": {
        "description": "JSON: `total`, `total_pages`, `first_page`, `last_page`, `page`, "
        "`previous_page`, `next_page`; not with `after`",
        "schema": {"type": "string"},
        "example": '{"total":3,"total_pages":1,"first_page":1,"last_page":1,"page":1}',
    },
    "Link": {
        "description": "RFC 8288: `first`, `prev`, `next` and `last`; with `after`, `next` alone. "
        "Where there is no more, there is no `next`",
        "schema": {"type": "string"},
        "example": '</api/service2/products?limit=20&page=2>; rel="next"',
    },
}


class Unsupported(UnsupportedMediaType):
    """A 415 that says by a header what would be taken. headers: {name: value}."""

    def __init__(self, description, headers):
        super().__init__(description)
        self._headers = list(headers.items())

    def get_headers(self, *arguments, **options):
        return super().get_headers(*arguments, **options) + self._headers


_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "An access token, without the word `Bearer`. Sign in with `POST /tokens` of the "
    "[users service](/api/service1/docs) and take `access_token` from the answer. In a checkout, "
    "`scripts/token` prints one of an administrator, and `scripts/token NAME` one of a user. "
    "A token is valid for 10 minutes; then come 401s with the code `token_expired`.",
}


class Parser(FlaskParser):
    """Reads bodies strictly, and refuses query parameters that nobody declared."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": RAISE}

    def load_json(self, req, schema):
        body = req.get_data(cache=False)
        if not body.strip():
            raise MalformedJsonProblem("The body is empty; a JSON object is expected")
        if req.mimetype == JSON_PATCH or not req.is_json:
            accepted = f"application/json, {MERGE_PATCH}"
            raise Unsupported(
                "Send a JSON object with `Content-Type: application/json`",
                {"Accept-Patch": accepted} if req.method == "PATCH" else {},
            )
        try:
            loaded = wire.loads_request(body)
        except wire.TooManyKeys:
            message = f"An object may have at most {wire.MOST_KEYS} keys."
            raise Invalid(errors={"json": {"_schema": [message]}}) from None
        except wire.MalformedJson as error:
            raise MalformedJsonProblem(f"The body is not valid JSON: {error}") from error
        # where several may come, one may come alone: CloudEvents, in a batch or not
        return [loaded] if schema.many and isinstance(loaded, dict) else loaded


class ProblemView(Schema):
    """An error, as RFC 9457 has it. Some codes bring further members, such as `lines`."""

    class Meta:
        unknown = INCLUDE

    type = Text("What kind of problem, as a relative URL", "/problems/not_found", max=200)
    title = Text("The kind in words", "There is no such thing", max=200)
    status = Whole("The HTTP status", 404)
    detail = Text("What went wrong here", "There is no such thing, or it is not yours", max=1000)
    code = Text("A stable word to branch on", "not_found", max=100)
    request_id = Text("To be quoted when asking for help", "3f2a9c0de1b24c6f", max=128)
    errors = Dict(
        metadata={
            "description": "With the code `invalid`: what is wrong, nested like the request. At "
            "most 50 errors are listed; `detail` says when there are more",
            "example": {"json": {"quantity": ["Must be 1 or more."]}},
        }
    )


class Blueprint(SmorestBlueprint):
    """A blueprint whose arguments are parsed by our Parser, and whose errors have our shape.

    Its public POST routes take an `Idempotency-Key`.
    """

    ARGUMENTS_PARSER = Parser()

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._prepare_doc_cbks += [conditional.document, _document_paging, _document_merge_patch]
        self._prepare_doc_cbks += [openapi.note]

    def add_url_rule(self, rule, endpoint=None, view_func=None, *arguments, **options):
        if takes_key(f"{self.url_prefix or ''}{rule}", view_func, options.get("methods", ())):
            view_func = idempotent(view_func)
        super().add_url_rule(rule, endpoint, view_func, *arguments, **options)

    def arguments(self, schema, **options):
        """As flask-smorest has it, but the schema is made once and not for each request.

        The samples of a schema (chassis.fields.Schema) are the examples of the body.
        """
        schema = schema() if isinstance(schema, type) else schema
        if schema.samples:
            options["examples"] = {name: {"value": body} for name, body in schema.samples.items()}
        return super().arguments(schema, **options)

    @staticmethod
    def raises(*kinds):
        """Document the route's own errors: classes of chassis.errors.Problem.

        What follows from its guard, its parameters and its body need not be named.
        """

        def mark(view):
            view._apidoc = {**getattr(view, "_apidoc", {}), "raises": kinds}
            return view

        return mark


class Api(SmorestApi):
    """One error shape, in the answers and in OpenAPI.

    `document` is the finished document, which `GET /openapi.json` answers.
    """

    ERROR_SCHEMA = ProblemView

    @cached_property
    def document(self):
        document = self.spec.to_dict()
        kinds = openapi.complete(document)
        guide = openapi.unwrapped(_GUIDE.read_text())
        document["info"]["description"] += guide.replace("{catalogue}", openapi.catalogue(kinds))
        return document

    @auth.public
    def _openapi_json(self):
        return flask.jsonify(self.document)

    def _register_responses(self):
        """As flask-smorest does it, which gives errors the content type of all other answers."""
        self.DEFAULT_RESPONSE_CONTENT_TYPE = PROBLEM
        super()._register_responses()
        del self.DEFAULT_RESPONSE_CONTENT_TYPE

    def handle_http_exception(self, error):
        return from_http_exception(error)


class Number(IntegerConverter):
    """A number in a path. Werkzeug's own takes the digits of every script, which Nginx does not."""

    regex = "[0-9]+"


class Json(JSONProvider):
    """Flask's JSON, through `chassis.wire`."""

    def dumps(self, obj, **_kwargs):
        return wire.dumps(obj).decode()

    def loads(self, s, **_kwargs):
        return wire.loads(s)

    def response(self, *args, **kwargs):
        body = wire.dumps(self._prepare_response_obj(args, kwargs))
        return self._app.response_class(body, mimetype="application/json")


def init_app(app, *, title, description, prefix):
    """Set up JSON, the documents, and the checks that hold for every route.

    Internal routes have a document of their own, `/internal/openapi.json`, which like them is
    hidden from the public listener. Returns a function that registers a Blueprint in its document.
    """
    app.json = Json(app)
    app.url_map.converters["int"] = Number
    public = _document_at(app, "", title, description, prefix)
    internal = _document_at(app, _INTERNAL, f"{title}, internal routes", description, prefix)
    app.before_request(_refuse_encoded_body)
    app.before_request(_refuse_unreadable_query)
    app.before_request(_refuse_undeclared_parameters)
    app.before_request(_refuse_impossible_ids)
    app.after_request(_name_no_type_of_nothing)

    def register(blueprint):
        is_internal = (blueprint.url_prefix or "").startswith(_INTERNAL)
        (internal if is_internal else public).register_blueprint(blueprint)

    return register


def _document_at(app, path, title, description, prefix):
    config = {
        "API_TITLE": title,
        "API_VERSION": VERSION,
        "OPENAPI_VERSION": "3.0.3",
        "OPENAPI_URL_PREFIX": path or "/",
        "OPENAPI_JSON_PATH": "openapi.json",
        "API_SPEC_OPTIONS": {
            "info": {"description": description},
            "servers": [{"url": prefix}],
            "components": {"securitySchemes": {"bearer": _BEARER}},
        },
    }
    name = path.strip("/").upper()
    app.config.update({f"{name}_{key}" if name else key: value for key, value in config.items()})
    return Api(app, config_prefix=name)


def _document_paging(doc, info, **_):
    """Describe the headers of a list; flask-smorest calls this for each operation."""
    parameters = info.get("arguments", {}).get("parameters", [])
    if any(isinstance(parameter.get("schema"), ListQuery) for parameter in parameters):
        doc["responses"][200]["headers"] = _PAGING_HEADERS
    return doc


def _document_merge_patch(doc, _info, *, method, **_):
    """Name the second media type of a PATCH; flask-smorest calls this for each operation."""
    if method.upper() == "PATCH":
        content = doc["requestBody"]["content"]
        content[MERGE_PATCH] = content["application/json"]
    return doc


def _refuse_encoded_body():
    """A compressed body may be a thousand times as large as it looks."""
    encoding = flask.request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise Unsupported(
            f"Send the body as it is, without `Content-Encoding: {encoding}`",
            {"Accept-Encoding": "identity"},
        )


def _name_no_type_of_nothing(response):
    """A 204 has no content, so it has no type of content either (RFC 9110, 8.3)."""
    if response.status_code == 204:
        response.headers.pop("Content-Type", None)
    return response


def _refuse_unreadable_query():
    """Bytes that are no UTF-8, where Werkzeug does not expect them; in `%ff` it does."""
    try:
        flask.request.query_string.decode()
    except UnicodeDecodeError as error:
        raise BadRequest("The query is not UTF-8") from error


def _refuse_undeclared_parameters():
    """A route without a query schema takes no parameters; the others check their own."""
    view = flask.current_app.view_functions.get(flask.request.endpoint)
    documented = getattr(view, "_apidoc", {})
    if "response" not in documented or not flask.request.args:
        return
    declared = documented.get("arguments", {}).get("parameters", [])
    if not any(parameter["in"] == "query" for parameter in declared):
        unknown = {name: ["Unknown field."] for name in flask.request.args}
        raise Invalid(errors={"query": unknown})


def _refuse_impossible_ids():
    """Ids begin at 1, and what no database of ours can hold does not exist there."""
    for value in (flask.request.view_args or {}).values():
        if isinstance(value, int) and not 1 <= value <= LARGEST_ID:
            raise NotFound
        if isinstance(value, str) and "\0" in value:
            raise NotFound
