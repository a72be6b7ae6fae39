"""Metrics of several processes: who writes which file, and what is counted beside requests.

prometheus_client's multi-process form keeps files for each process in PROMETHEUS_MULTIPROC_DIR.
They are named by the process's place (uWSGI's worker id, or `worker`) and not by its pid, so that
one which takes another's place goes on in its files, and none of a dead process stay behind.
"""

from prometheus_client import Counter, values

_counters = {}


def begin(identity):
    """Let this process write the files called `identity`. Call it before any metric is made."""
    values.ValueClass = values.MultiProcessValue(lambda: identity)
    _counters["deliveries"] = Counter(
        "outbox_deliveries_total",
        "Messages of the outbox that were tried, by lane and outcome",
        ["lane", "outcome"],
    )


def count_delivery(lane, outcome):
    """Count one try of a message; outcome is delivered, refused, unknown or our_fault."""
    if counter := _counters.get("deliveries"):
        counter.labels(lane=lane, outcome=outcome).inc()
