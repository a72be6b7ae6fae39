"""Dead letters: what a receiver has refused for good, for an administrator to look at.

Once the reason is mended a letter can be replayed; one that is of no use any more is discarded.
"""

import logging
from functools import partial

from chassis import audit, outbox
from chassis.api import Blueprint
from chassis.auth import allow, recheck
from chassis.database import transaction
from chassis.errors import present
from chassis.fields import AnyJson, Instant, ListQuery, Schema, Text, Whole
from chassis.pagination import page_of
from chassis.resources import paged

log = logging.getLogger(__name__)

dead_letters = Blueprint(
    "dead letters",
    __name__,
    url_prefix="/dead-letters",
    description="Messages to other services that were refused for good",
)


class DeadLetterView(Schema):
    id = Whole("The letter's number", 12)
    lane = Text("Whom it was for", "microservice4", max=100)
    subject = Text("What it is about", "order/7", max=200)
    event_id = Text(
        "The event's id; null if it is no event", "0b7a3c0e-3f6d-4e0b", max=100, allow_none=True
    )
    event_type = Text(
        "The kind of event; null if it is no event", "order.confirmed", max=100, allow_none=True
    )
    reason = Text("Why it was refused", "microservice4 answered invalid", max=10_000)
    attempts = Whole("How often it was tried", 1, min=0)
    created_at = Instant("When it was written", "2026-01-31T09:30:00Z")


class Message(AnyJson):
    """Return the message without the single-use code that an event may carry."""

    def _serialize(self, value, attr, obj, **kwargs):
        data = value.get("data") if isinstance(value, dict) else None
        if not isinstance(data, dict) or "code" not in data:
            return value
        return {**value, "data": {**data, "code": "(not shown)"}}


class WholeLetterView(DeadLetterView):
    message = Message("What was to be delivered", {"type": "order.confirmed", "subject": "order/7"})


@dead_letters.route("", methods=["GET"])
@allow("admin")
@dead_letters.arguments(ListQuery, location="query")
@dead_letters.response(200, DeadLetterView(many=True))
def list_dead_letters(query):
    """List what was refused for good, the oldest first

    A message becomes a dead letter when its receiver refuses it, because a repeat cannot help.
    """
    with transaction() as tx:
        count = partial(outbox.count_dead_letters, tx)
        return paged(page_of(count=count, rows=partial(outbox.list_dead_letters, tx), **query))


@dead_letters.route("/<int:letter_id>", methods=["GET"])
@allow("admin")
@dead_letters.response(200, WholeLetterView)
def get_dead_letter(letter_id):
    """Show a dead letter with its message

    Shows the whole message, and why its receiver refused it. A single-use code is not shown.
    """
    with transaction() as tx:
        return present(outbox.find_dead_letter(tx, letter_id))


@dead_letters.route("/<int:letter_id>/replay", methods=["POST"])
@allow("admin")
@dead_letters.response(202, DeadLetterView)
def replay_dead_letter(letter_id):
    """Deliver a dead letter after all

    The letter goes out at once, before other messages of the same subject. Replay it when the
    reason of the refusal is gone.
    """
    with transaction() as tx:
        recheck(tx)
        letter = present(outbox.replay_dead_letter(tx, letter_id))
        audit.record(tx, "dead_letter.replayed", f"dead_letter/{letter_id}")
    log.info("dead letter replayed", extra={"lane": letter.lane, "subject": letter.subject})
    return letter


@dead_letters.route("/<int:letter_id>", methods=["DELETE"])
@allow("admin")
@dead_letters.response(204)
def discard_dead_letter(letter_id):
    """Discard a dead letter: it is never delivered

    The letter is deleted. The audit log keeps who discarded it.
    """
    with transaction() as tx:
        recheck(tx)
        letter = present(outbox.discard_dead_letter(tx, letter_id))
        audit.record(tx, "dead_letter.discarded", f"dead_letter/{letter_id}")
    log.info("dead letter discarded", extra={"lane": letter.lane, "subject": letter.subject})
