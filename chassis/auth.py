"""Who may call a route: said on every route, checked before anything else, denied by default.

    @users.route("/<int:user_id>")
    @allow("user", "microservice3")
    @users.response(200, UserView)
    def get_user(user_id): ...

The words are `anyone`, `user` (any signed-in user), `admin`, and the names of services, which may
call through the internal listener alone. With `@callers("microservice3")` the whole route is
internal. With `@public` a route looks at no token, so an expired one does not matter.
"""

from functools import wraps

from flask import current_app, g, request

from chassis import context, listener, service
from chassis.errors import Forbidden, NoRoute, Unauthenticated
from chassis.networks import network_of
from chassis.settings import SERVICES
from chassis.tokens import Identity

WORDS = frozenset({"anyone", "user", "admin", *SERVICES})
ANONYMOUS = Identity()
_RECHECK = "quartet.recheck"


def allow(*who):
    """Let in whom the words name. Raises Unauthenticated (401) or Forbidden (403) for others."""
    assert WORDS.issuperset(who), f"unknown words: {set(who) - WORDS}"

    def permits(identity):
        if identity.service:
            return _calls_internally(identity, who)
        return "user" in who or ("admin" in who and identity.is_admin)

    return _guarded(permits, who)


def public(view):
    """Let everybody in, whatever token they send."""
    view._check = _let_in
    _document(view, who=("anyone",))
    return view


def callers(*services):
    """Let in the named services, through the internal listener only; elsewhere it is no route."""
    return _guarded(lambda identity: _calls_internally(identity, services), services)


def identity():
    """Return who sent the request in hand: an Identity, with nothing in it for an anonymous one."""
    return g.get("identity", ANONYMOUS)


def network():
    """Return the network of the current request's client, as Nginx saw it: see chassis.networks."""
    return network_of(request.remote_addr or "")


def check(view):
    """Raise Unauthenticated or Forbidden unless the sender of the request may call the view."""
    view._check()


def recheck(tx):
    """Check in the transaction of a write that its caller still is what the access token says.

    Only the service that keeps the accounts can do that, by the function that it gave to init_app.
    The others believe a token until it expires or is revoked. Raises TokenExpired.
    """
    current_app.extensions[_RECHECK](tx, identity())


def init_app(app, recheck_caller=None):
    """Hide internal routes from the public listener.

    recheck_caller: a function of a Transaction and an Identity, see `recheck`.
    """
    app.before_request(_hide_internal)
    app.extensions[_RECHECK] = recheck_caller or _believe


def unguarded_routes(app, exempt):
    """Return the endpoints that say nothing of who may call them, beside the exempt ones."""
    return [
        endpoint
        for endpoint, view in app.view_functions.items()
        if not hasattr(view, "_check") and endpoint not in exempt
    ]


def _hide_internal():
    internal_only = request.path.startswith("/internal/") or request.path == "/metrics"
    if internal_only and not listener.is_internal():
        raise NoRoute


def _guarded(permits, who):
    open_to_all = "anyone" in who
    security = [{}, {"bearer": []}] if open_to_all else [{"bearer": []}]

    def check_caller():
        caller = _identify()
        if not open_to_all:
            if caller is ANONYMOUS:
                raise Unauthenticated
            if not permits(caller):
                raise Forbidden

    def decorate(view):
        @wraps(view)
        def guarded(*args, **kwargs):
            check_caller()
            return view(*args, **kwargs)

        guarded._check = check_caller
        _document(guarded, who=who, security=security)
        return guarded

    return decorate


def _calls_internally(identity, services):
    return identity.service in services and listener.is_internal()


def _believe(_tx, _identity):
    pass


def _let_in():
    pass


def _identify():
    header = request.headers.get("Authorization")
    if header is None:
        return ANONYMOUS
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Send `Authorization: Bearer <access token>`")
    g.identity = service.current().verifier.identify(token.strip())
    context.actor.set(g.identity.actor)
    context.is_privileged.set(g.identity.is_admin or g.identity.service is not None)
    return g.identity


def _document(view, **facts):
    """Note what the documents tell of a view: see chassis.openapi."""
    view._apidoc = {**getattr(view, "_apidoc", {}), **facts}
