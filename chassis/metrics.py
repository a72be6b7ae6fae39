"""Metrics of several processes: who writes which file, and what is counted beside requests.

prometheus_client's multi-process form keeps files for each process in PROMETHEUS_MULTIPROC_DIR.
They are named by the process's place (uWSGI's worker id, or `worker`) and not by its pid, so that
one which takes another's place goes on in its files, and none of a dead process stay behind.
"""

from functools import cache

from prometheus_client import Counter, Gauge, values


def write_as(place):
    """Let this process write the files of that place. Call it before any metric is made."""
    values.ValueClass = _value_class(place)


@cache
def _value_class(place):
    """One class for each place: every class keeps its files open."""
    return values.MultiProcessValue(lambda: place)


@cache
def calls_not_made():
    """Return the counter of calls to neighbours that were refused on our own side."""
    return Counter(
        "neighbour_calls_not_made_total",
        "Calls to a neighbour that were not made, by neighbour and reason",
        ["neighbour", "reason"],
        registry=None,
    )


@cache
def circuits_opened():
    """Return the counter of circuits that opened because the neighbour did not answer."""
    return Counter(
        "neighbour_circuits_opened_total",
        "Circuits that were opened, by neighbour",
        ["neighbour"],
        registry=None,
    )


@cache
def requests_shed():
    """Return the counter of public requests that were refused because they had waited too long."""
    return Counter(
        "requests_shed_total",
        "Public requests that were refused because they had waited too long",
        registry=None,
    )


def overdue_counter():
    """Return the counter of outbox messages that were not delivered for too long, by lane."""
    return Counter(
        "outbox_overdue_total",
        "Messages of the outbox that nobody has answered for 5 minutes, by lane",
        ["lane"],
        registry=None,
    )


def oldest_gauge():
    """Return the gauge of the age of the oldest message of the outbox, by lane."""
    return Gauge(
        "outbox_oldest_seconds",
        "How long the oldest message of the outbox has waited when the worker last looked, by lane",
        ["lane"],
        registry=None,
        multiprocess_mode="mostrecent",
    )


def waiting_gauge():
    """Return the gauge of how many messages of the outbox wait."""
    return Gauge(
        "outbox_waiting",
        "Messages of the outbox that wait, counted up to 10,000",
        registry=None,
        multiprocess_mode="mostrecent",
    )


def watched_gauge():
    """Return the gauge of the Unix time at which the worker last looked at the outbox."""
    return Gauge(
        "outbox_watched_at_seconds",
        "When the worker last looked at the outbox, as Unix time; it stands still without a worker",
        registry=None,
        multiprocess_mode="mostrecent",
    )


@cache
def without_contact_gauge():
    """Return the gauge of notifications that wait for the address of their user."""
    return Gauge(
        "notifications_without_contact",
        "Notifications that wait for the address of their user, counted up to 10,000",
        registry=None,
        multiprocess_mode="mostrecent",
    )


@cache
def without_contact_oldest_gauge():
    """Return the gauge of how long the oldest of those has waited, in seconds."""
    return Gauge(
        "notifications_without_contact_oldest_seconds",
        "How long the oldest notification has waited for the address of its user",
        registry=None,
        multiprocess_mode="mostrecent",
    )


@cache
def deferred_gauge():
    """Return the gauge of e-mails that the mail server has put off."""
    return Gauge(
        "notifications_deferred",
        "E-mails that the mail server has put off, counted up to 10,000",
        registry=None,
        multiprocess_mode="mostrecent",
    )


@cache
def deferred_oldest_gauge():
    """Return the gauge of how long the oldest of those has been put off, in seconds."""
    return Gauge(
        "notifications_deferred_oldest_seconds",
        "How long the mail server has put off the oldest e-mail",
        registry=None,
        multiprocess_mode="mostrecent",
    )


def delivery_counter():
    """Return the counter of tries of outbox messages, by lane and outcome.

    outcome: delivered, refused, unknown, our_fault, or not_called: that was no try.
    """
    return Counter(
        "outbox_deliveries_total",
        "Messages of the outbox that were tried, by lane and outcome",
        ["lane", "outcome"],
        registry=None,  # the files are read by whoever serves /metrics
    )
