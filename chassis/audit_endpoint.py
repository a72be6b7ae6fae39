"""`GET /audit`: what administrators and services have written, for administrators."""

from functools import partial

from chassis import audit
from chassis.api import Blueprint
from chassis.auth import allow
from chassis.database import transaction
from chassis.fields import Instant, InstantOrDate, ListQuery, Schema, Text, Whole
from chassis.pagination import page_of
from chassis.resources import paged

audit_log = Blueprint(
    "audit", __name__, url_prefix="/audit", description="Who has written what, and when"
)


class AuditQuery(ListQuery):
    """`from` is a word of Python's, so inside it is called `since`."""

    actor = Text(
        "Only what this one wrote, `user:<id>`, `service:<name>` or `operator`", "user:1", max=100
    )
    since = InstantOrDate("Written at this moment or later", "2026-01-01", data_key="from")
    until = InstantOrDate("Written before this moment", "2026-02-01", data_key="to")


class AuditEntryView(Schema):
    at = Instant("When", "2026-01-31T09:30:00Z")
    actor = Text(
        "Who, `user:<id>`, `service:<name>`, `operator` for a script on the host, or "
        "`address:<network>` of a stranger",
        "user:1",
        max=100,
    )
    action = Text("What was done", "product.created", max=100)
    subject = Text("To what", "product/7", max=200)
    request_id = Text("By which request", "3f2a9c0de1b24c6f", max=128)
    count = Whole("How often; 1, but for failed sign-ins of an hour", 1)


@audit_log.route("", methods=["GET"])
@allow("admin")
@audit_log.arguments(AuditQuery, location="query")
@audit_log.response(200, AuditEntryView(many=True))
def list_audit_entries(query):
    """List what administrators and services have written, newest first

    Shows who changed what, and by which request. Sign-ins of administrators are listed as well.
    Entries cannot be changed.
    """
    return paged(_found(**query))


def _found(*, paging, actor=None, since=None, until=None):
    filters = {"actor": actor, "since": since, "until": until}
    with transaction() as tx:
        return page_of(
            paging,
            count=partial(audit.count_entries, tx, **filters),
            rows=partial(audit.list_entries, tx, **filters),
            key="at",
        )
