"""What this service keeps for a while only. docs/retention.md has the reasons."""

from functools import partial

from chassis import idempotency, inbox, rates
from chassis.retention import Rule, always, prune
from microservice1 import database
from microservice1.logic.guessing import KNOWN_DAYS
from microservice1.logic.sessions import LISTED_SECONDS

RULES = (
    idempotency.RETENTION,
    inbox.RETENTION,
    rates.RETENTION,
    Rule("expired sessions", database.SESSIONS, always("0 seconds")),
    Rule("expired codes", database.CODES, always("0 seconds")),
    Rule("revocations", database.REVOCATIONS, always(f"{LISTED_SECONDS} seconds")),
    Rule("known addresses", database.KNOWN_ADDRESSES, always(f"{KNOWN_DAYS} days")),
)

clean_up = partial(prune, RULES)
