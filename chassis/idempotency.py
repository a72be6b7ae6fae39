"""Idempotency keys: a request that is sent again is done once, and answered again.

What was answered is written in the transaction of the work itself: there are both or neither. Where
the work is more than one transaction, the one that accepts it writes down what it has made:

    with transaction() as tx:
        order = database.insert_order(tx, ...)
        idempotency.record(tx, order.id)

Which routes take a key says `chassis.idempotent_routes`.
https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import hashlib
import hmac
import re
from dataclasses import dataclass

from chassis import context, retention, wire
from chassis.errors import Conflict, Problem

LARGEST_ANSWER_BYTES = 64 * 1024
RETENTION = retention.Rule(
    "idempotency keys",
    retention.Rows("idempotency_keys", moment="created_at"),
    retention.always("24 hours"),
)

_KEY = re.compile(r"[!-~]{1,255}")


class BadIdempotencyKey(Problem):
    status, code = 400, "bad_idempotency_key"
    title = "Send one Idempotency-Key of 1 to 255 visible ASCII characters"
    advice = "Use a UUID, for example."


class IdempotencyKeyReused(Problem):
    status, code = 422, "idempotency_key_reused"
    title = "This Idempotency-Key came with another body before"
    advice = "Use a new key for a new request, and the same body for a repeat."


class RequestInProgress(Conflict):
    code, title = "request_in_progress", "A request with this Idempotency-Key is still running"
    advice = "Wait a second, then repeat the request with the same key."


class AnswerNotKept(Conflict):
    code, title = "answer_not_kept", "The request was done, and its answer is too large to repeat"
    advice = "Do not repeat the request. Read the resource instead."


@dataclass(slots=True)
class Claim:
    """What a request with a key lays claim to. `is_recorded`: `record` has written it down."""

    scope: bytes
    fingerprint: bytes
    is_recorded: bool = False

    @property
    def lock(self):
        """The number of the advisory lock that whoever does the work holds."""
        return int.from_bytes(self.scope[:8], signed=True)


@dataclass(frozen=True, slots=True)
class Stored:
    """The answer: `status`, `headers` ([[name, value]]) and `body`; or `resource_id` instead."""

    fingerprint: bytes
    status: int | None
    headers: list | None
    body: bytes | None
    resource_id: int | None


def claim_of(*, method, path, network, key, body):
    """Return the Claim of the current caller. Raises BadIdempotencyKey.

    Args:
        path: with the query.
        network: the caller's, see chassis.networks; it tells anonymous callers apart.
        key: the header. A key in quotes equals the key without.
        body: bytes.
    """
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not _KEY.fullmatch(key):
        raise BadIdempotencyKey
    caller = context.actor.get() or f"anonymous at {network}"
    secret = context.service.get().secret("idempotency")
    return Claim(
        scope=hashlib.sha256(wire.dumps([caller, method, path, key])).digest(),
        fingerprint=hmac.digest(secret, body, "sha256"),
    )


def look_up(tx, claim):
    """Return what is Stored for the claim; or None, and until the transaction ends it is ours.

    Raises RequestInProgress if somebody else has it now, IdempotencyKeyReused after another body.
    """
    # By itself: a statement sees what was committed before it, and not while it waited for a lock.
    if not tx.value("SELECT pg_try_advisory_xact_lock(%(lock)s)", lock=claim.lock):
        raise RequestInProgress
    stored = tx.one(
        Stored,
        """
        SELECT fingerprint, status, headers, body, resource_id
          FROM idempotency_keys
         WHERE scope = %(scope)s
        """,
        scope=claim.scope,
    )
    if stored is not None and not hmac.compare_digest(bytes(stored.fingerprint), claim.fingerprint):
        raise IdempotencyKeyReused
    return stored


def store(tx, claim, *, status, headers, body):
    """Store an answer, after `look_up` in the same transaction.

    headers: [(name, value)]. body: at most LARGEST_ANSWER_BYTES.
    """
    tx.queue(
        """
        INSERT INTO idempotency_keys (scope, fingerprint, status, headers, body)
        VALUES (%(scope)s, %(fingerprint)s, %(status)s, %(headers)s::json, %(body)s)
        """,
        scope=claim.scope,
        fingerprint=claim.fingerprint,
        status=status,
        headers=wire.dumps(headers).decode(),
        body=body,
    )


def record(tx, resource_id):
    """Write down what the request in hand has made, if it came with a key.

    From then on a repeat is answered by what became of that. Raises RequestInProgress if a repeat
    was first.
    """
    claim = context.idempotency_claim.get()
    if claim is None:
        return
    claim.is_recorded = tx.run(
        """
        INSERT INTO idempotency_keys (scope, fingerprint, resource_id)
        SELECT %(scope)s, %(fingerprint)s, %(resource_id)s
         WHERE pg_try_advisory_xact_lock(%(lock)s)
            ON CONFLICT DO NOTHING
        """,
        scope=claim.scope,
        fingerprint=claim.fingerprint,
        resource_id=resource_id,
        lock=claim.lock,
    )
    if not claim.is_recorded:
        raise RequestInProgress
