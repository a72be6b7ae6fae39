"""What this service keeps for a while only. docs/retention.md has the reasons."""

from functools import partial

from chassis import idempotency, inbox, rates
from chassis.retention import prune

RULES = (idempotency.RETENTION, inbox.RETENTION, rates.RETENTION)

clean_up = partial(prune, RULES)
