"""Health that tells the truth: alive is this process, ready is this process and its database.

`GET /health/live` and `GET /health/ready` for machines, `GET /status` for people.
"""

import time
from dataclasses import asdict

from chassis import outbox, service
from chassis.api import Blueprint
from chassis.auth import allow, identity, public
from chassis.database import transaction
from chassis.errors import Unavailable
from chassis.fields import Flag, Nested, Schema, Text, Whole
from chassis.version import VERSION

health = Blueprint("health", __name__, description="Is it up, and can it work?")

_started = time.monotonic()


class NotReady(Unavailable):
    """`failing` names what fails."""

    title = "Not ready"
    advice = "Wait for as many seconds as `Retry-After` says. `failing` names what fails."
    example = {"failing": ["database"]}


class LiveView(Schema):
    status = Text("Always `live`", "live", max=5)


class ReadyView(Schema):
    status = Text("Always `ready`; otherwise the answer is a 503", "ready", max=5)


class OutboxView(Schema):
    waiting = Whole("Messages that are still to be delivered, counted up to 10,000", 0, min=0)
    waiting_is_exact = Flag("False if more wait than are counted; else absent", False)
    dead = Whole("Messages that were refused for good, counted up to 10,000", 0, min=0)
    dead_is_exact = Flag("False if there are more than are counted; else absent", False)
    oldest_seconds = Whole("The age of the oldest message that waits", 0, min=0)


class StatusView(Schema):
    ready = Flag("Whether the service can work", True)
    service = Text("Its name (administrators only)", "microservice2", max=64)
    version = Text("The version of Quartet (administrators only)", "1.0.0", max=20)
    uptime_seconds = Whole("How long this process has been up (administrators only)", 86400, min=0)
    outbox = Nested("What its outbox holds (administrators only)", OutboxView)


@health.get("/health/live")
@public
@health.response(200, LiveView)
def live():
    """Tell that the process answers

    For a monitor. The answer says nothing of the database.
    """
    return {"status": "live"}


@health.get("/health/ready")
@public
@health.raises(NotReady)
@health.response(200, ReadyView)
def ready():
    """Tell whether the service can work

    For a load balancer. The service is ready if its database answers.
    """
    if not _database_answers():
        raise NotReady("The database does not answer", failing=["database"])
    return {"status": "ready"}


@health.get("/status")
@allow("anyone")
@health.response(200, StatusView)
def status():
    """Tell how the service is, to administrators in full

    Everybody learns whether the service is ready. An administrator also learns how long it has
    been up, and how many messages to other services wait or were refused.
    """
    if not identity().is_admin:
        return {"ready": _database_answers()}
    found = {
        "ready": _database_answers(),
        "service": service.current().name,
        "version": VERSION,
        "uptime_seconds": int(time.monotonic() - _started),
    }
    if found["ready"]:
        with transaction() as tx:
            found["outbox"] = _shown(outbox.backlog(tx))
    return found


def _shown(backlog):
    """Return a chassis.outbox.Backlog as OutboxView, with a word on counts that were capped."""
    shown = asdict(backlog)
    for name in ("waiting", "dead"):
        if shown[name] > outbox.MOST_COUNTED:
            shown |= {name: outbox.MOST_COUNTED, f"{name}_is_exact": False}
    return shown


def _database_answers():
    try:
        with transaction() as tx:
            return tx.value("SELECT 1") == 1
    except Unavailable:
        return False
