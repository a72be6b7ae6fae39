"""Metrics of several processes: who writes which file, and what is counted beside requests.

prometheus_client's multi-process form keeps files for each process in PROMETHEUS_MULTIPROC_DIR.
They are named by the process's place (uWSGI's worker id, or `worker`) and not by its pid, so that
one which takes another's place goes on in its files, and none of a dead process stay behind.
"""

from functools import cache

from prometheus_client import Counter, values


def write_as(place):
    """Let this process write the files of that place. Call it before any metric is made."""
    values.ValueClass = _value_class(place)


@cache
def _value_class(place):
    """One class for each place: every class keeps its files open."""
    return values.MultiProcessValue(lambda: place)


def delivery_counter():
    """Return the counter of tries of outbox messages, by lane and outcome.

    outcome: delivered, refused, unknown or our_fault.
    """
    return Counter(
        "outbox_deliveries_total",
        "Messages of the outbox that were tried, by lane and outcome",
        ["lane", "outcome"],
        registry=None,  # the files are read by whoever serves /metrics
    )
