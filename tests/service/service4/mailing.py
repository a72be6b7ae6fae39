"""What tests of e-mails ask and do."""

import time
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default

from chassis.worker import Worker
from microservice4.worker import LANES


def letter(postbox):
    """The one e-mail that arrived, as a reader's program sees it."""
    (envelope,) = postbox.envelopes
    return message_from_bytes(envelope.content, policy=default)


def in_minutes(minutes):
    """A moment from now, as events write it."""
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


def subjects(postbox):
    return [
        message_from_bytes(envelope.content, policy=default)["Subject"]
        for envelope in postbox.envelopes
    ]


def one_step(service):
    """Let the worker try what is due, once. Returns how many seconds it took."""
    began = time.monotonic()
    with service.active():
        Worker(service, LANES).step("mail")
    return time.monotonic() - began


def use(service, **settings):
    """Give the service other settings, as a restart would."""
    for name, value in settings.items():
        object.__setattr__(service.settings, name, value)
