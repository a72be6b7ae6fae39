"""Every public POST route takes an `Idempotency-Key`, without being asked.

`chassis.api.Blueprint` wraps them in `idempotent`. A request with a key is then one transaction,
its answer stored in it; each `transaction()` inside becomes a part of that one, so a route of this
kind cannot call a neighbour. One that does says what it has made, and how that is answered again:

    @orders.response(201, OrderView)
    def show_outcome(order_id): ...

    @orders.route("", methods=["POST"])
    @allow("user")
    @answered_again_by(show_outcome)
    ...

and its logic calls `idempotency.record` in the transaction that accepts the work. A route that
takes no key says `@takes_no_idempotency_key`.
"""

from copy import deepcopy
from functools import partial, wraps

from flask import current_app, request
from flask_smorest import Api as SmorestApi
from werkzeug.exceptions import HTTPException

from chassis import auth, context, idempotency
from chassis.database import joint_transaction, transaction
from chassis.errors import Invalid, Problem

KEY_HEADER = "Idempotency-Key"
FIRST_KEY = "QUARTET_IDEMPOTENCY_KEY"  # Nginx's parameter: of several such headers, the first
REPLAYED_HEADER = "Idempotency-Replayed"

_KEY_PARAMETER = {
    "in": "header",
    "name": KEY_HEADER,
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "example": "5f0c2b1e-7f0a-4a57-9c0e-0a4d5f3f8d11",
    "description": (
        "Makes the request safe to repeat for 24 hours: the same key and the same bytes get the "
        "same answer, and nothing is done twice. Another body is a 422 `idempotency_key_reused`; "
        "while the first is still running a repeat is a 409 `request_in_progress`. A key that is "
        "not 1 to 255 visible ASCII characters, or a second such header, is a 400 "
        "`bad_idempotency_key`; quotes around a key do not count. Without a token only a success "
        "is kept, and a key counts together with the network that sent it. A 422 `invalid` is "
        "never kept. A success of more than 64 kB is a 409 `answer_not_kept` when it is repeated."
    ),
}
_REFUSALS = (400, 409, 422)
_REPLAYED = {
    "description": "`true` on an answer that was given before, for the same `Idempotency-Key`",
    "schema": {"type": "string", "enum": ["true"]},
}


def takes_no_idempotency_key(view):
    """Let a POST route ignore the header: its answers must not be stored."""
    view._takes_no_key = True
    return view


def answered_again_by(outcome):
    """Answer repeats by what became of what the first request has made.

    outcome: a view of the number given to `idempotency.record`. It raises the refusal that ended
    the work, or RequestInProgress while there is nothing to tell.
    """

    def mark(view):
        view._outcome = outcome
        return view

    return mark


def takes_key(rule, view, methods):
    """Whether a route with that path and view is one that takes a key."""
    return (
        "POST" in methods
        and not rule.startswith("/internal/")
        and not hasattr(view, "_takes_no_key")
    )


def idempotent(view):
    """Return the view so that a request with a key is done once."""

    @wraps(view)
    def done_once(**arguments):
        key = request.headers.get(KEY_HEADER)
        if key is None:
            return view(**arguments)
        auth.check(view)
        if request.environ.get(FIRST_KEY, key) != key:
            raise idempotency.BadIdempotencyKey
        claim = idempotency.claim_of(
            method=request.method,
            path=request.full_path,
            network=auth.network(),
            key=key,
            body=request.get_data(),
        )
        work = partial(view, **arguments)
        outcome = getattr(view, "_outcome", None)
        return _in_one_transaction(claim, work) if outcome is None else _by(outcome, claim, work)

    _document(done_once)
    return done_once


def _in_one_transaction(claim, work):
    with joint_transaction() as tx:
        stored = idempotency.look_up(tx, claim)
        if stored is not None:
            return _replayed(stored)
        answer = _answer_of(work)
        if (kept := _kept(answer)) is not None:
            _store(tx, claim, kept)
        return answer


def _by(outcome, claim, work):
    with transaction() as tx:
        stored = idempotency.look_up(tx, claim)
    if stored is not None:
        return _replayed(stored, outcome)
    token = context.idempotency_claim.set(claim)
    try:
        answer = _answer_of(work)
    finally:
        context.idempotency_claim.reset(token)
    if claim.is_recorded:
        return answer
    with transaction() as tx:
        stored = idempotency.look_up(tx, claim)
        if stored is None and (kept := _kept(answer)) is not None:
            _store(tx, claim, kept)
    # What stood in the way may have been a repeat of this very request, which was first.
    return answer if stored is None else _replayed(stored, outcome)


def _answer_of(work):
    try:
        answer = work()
    except idempotency.RequestInProgress:
        raise
    except (Problem, HTTPException) as refusal:
        answer = current_app.handle_user_exception(refusal)
    return current_app.make_response(answer)


def _kept(answer):
    """Return the answer to store for repeats, or None if a repeat is to run again.

    A refusal changed nothing, so doing the request anew is safe where its answer is not worth its
    room: what an anonymous caller is refused, what is invalid whenever it is sent, what is large.
    """
    is_small = len(answer.get_data()) <= idempotency.LARGEST_ANSWER_BYTES
    if 200 <= answer.status_code < 300:
        return answer if is_small else _answer_of(_say_that_it_is_not_kept)
    is_final = answer.status_code in (409, 422) and answer.problem != Invalid.code
    return answer if is_final and is_small and context.actor.get() else None


def _say_that_it_is_not_kept():
    raise idempotency.AnswerNotKept


def _store(tx, claim, answer):
    headers = [pair for pair in answer.headers if pair[0] != "Content-Length"]
    idempotency.store(tx, claim, status=answer.status_code, headers=headers, body=answer.get_data())


def _replayed(stored, outcome=None):
    if stored.resource_id is None:
        answer = current_app.response_class(bytes(stored.body), stored.status, stored.headers)
    else:
        answer = _answer_of(partial(outcome, stored.resource_id))
    answer.headers[REPLAYED_HEADER] = "true"
    return answer


def _document(view):
    view._apidoc = deepcopy(getattr(view, "_apidoc", {}))
    arguments = view._apidoc.setdefault("arguments", {})
    arguments.setdefault("parameters", []).append(_KEY_PARAMETER)
    responses = view._apidoc.setdefault("response", {}).setdefault("responses", {})
    for status, answers in responses.items():
        if status < 300:
            for answer in answers:
                answer["headers"] = {**answer.get("headers", {}), REPLAYED_HEADER: _REPLAYED}
    for status in _REFUSALS:
        if status not in arguments.get("responses", {}):
            responses.setdefault(status, [SmorestApi.DEFAULT_ERROR_RESPONSE_NAME])
