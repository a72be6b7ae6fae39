"""What this service keeps for a while only. docs/retention.md has the reasons."""

from functools import partial

from chassis import idempotency, inbox, rates, service
from chassis.retention import Rule, always, prune
from microservice4 import database

RULES = (
    idempotency.RETENTION,
    inbox.RETENTION,
    rates.RETENTION,
    Rule("sent notifications", database.SENT, lambda: _settings().notifications_kept),
    Rule("failed notifications", database.FAILED, lambda: _settings().notifications_kept),
    Rule(
        "suppressed notifications",
        database.SUPPRESSED,
        lambda: _settings().suppressed_notifications_kept,
    ),
    # a day before the promised 30, so that a worker that was away for hours still keeps it
    Rule("letters of deleted users", database.LETTERS_OF_DELETED_USERS, always("29 days")),
)

clean_up = partial(prune, RULES)


def _settings():
    return service.current().settings
