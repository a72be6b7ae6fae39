"""What every service gets, in one list, in order."""

import flask

from chassis import (
    api,
    audit_endpoint,
    auth,
    bodies,
    dead_letters,
    docs,
    health,
    listener,
    logs,
    metrics_endpoint,
    problems,
    settings,
    tracing,
    uploads,
)
from chassis.service import Service
from chassis.shedding import Shedder

MAX_BODY_BYTES = 1_000_000
MAX_INTERNAL_BODY_BYTES = 8_000_000

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OPEN = frozenset({"prometheus_metrics"})


def create_service(name, *, title, description, blueprints, service=None, recheck_caller=None):
    """Return the WSGI application of the service called `name`, complete.

    title, description: for OpenAPI. blueprints: chassis.api.Blueprint, in the order of the
    documentation. service: a chassis.service.Service; without one, the environment says how, and
    its connections to the database are opened, so that the first requests need not wait for them.
    recheck_caller: see chassis.auth.recheck.
    Raises SettingsError, and RuntimeError for a route that does not say who may call it.
    """
    if service is None:
        service = Service(settings.load(name))
        logs.configure(service.settings.log_level)
        if listener.serves_public_requests():  # the other process is needed when these are busy
            service.database.fill()
    app = flask.Flask(name, static_folder=None)
    tracing.init_app(app)
    metrics_endpoint.init_app(app)
    problems.init_app(app)
    auth.init_app(app, recheck_caller)
    app.before_request(_bound_the_body)
    uploads.init_app(app)
    register = api.init_app(
        app, title=title, description=description, prefix=service.settings.prefix
    )
    docs.init_app(app, title=title)
    own = (dead_letters.dead_letters, audit_endpoint.audit_log, health.health)
    for blueprint in (*blueprints, *own):
        register(blueprint)
    app.wsgi_app = Shedder(_WithService(app.wsgi_app, service))
    _refuse_unguarded(app)
    return app


class _WithService:
    """Makes the service current for each request, and gives unknown methods one name.

    Methods are a label of the metrics, and a client can invent any number of them.
    """

    def __init__(self, wsgi_app, service):
        self._wsgi_app = wsgi_app
        self._service = service

    def __call__(self, environ, start_response):
        if environ["REQUEST_METHOD"] not in _METHODS:
            environ["REQUEST_METHOD"] = "UNKNOWN"
        with self._service.active():
            answer = self._wsgi_app(environ, start_response)
        bodies.read_to_the_end(environ)
        return answer


def _bound_the_body():
    internal = flask.request.path.startswith("/internal/") and listener.is_internal()
    usual = MAX_INTERNAL_BODY_BYTES if internal else MAX_BODY_BYTES
    view = flask.current_app.view_functions.get(flask.request.endpoint)
    flask.request.max_content_length = getattr(view, "most_bytes", usual)


def _refuse_unguarded(app):
    if unguarded := auth.unguarded_routes(app, _OPEN):
        raise RuntimeError(f"say who may call {', '.join(unguarded)}: @allow(...) or @callers(...)")
