"""Files are named by a process's place: one that takes another's place goes on in its files."""

import os
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

COUNT = """
from chassis import metrics
metrics.write_as({place!r})
metrics.delivery_counter().labels(lane="mail", outcome="delivered").inc()
"""


@pytest.fixture
def run(tmp_path):
    """Returns a function: a process at that place runs a program, and ends."""

    def run(program, place):
        subprocess.run(
            [sys.executable, "-c", program.format(place=place)],
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
            check=True,
        )

    return run


def test_processes_that_come_and_go_leave_one_file_for_each_place(run, tmp_path):
    for place in ("1", "1", "1", "worker"):
        run(COUNT, place)

    assert sorted(file.name for file in tmp_path.iterdir()) == ["counter_1.db", "counter_worker.db"]
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(tmp_path))
    assert b'outbox_deliveries_total{lane="mail",outcome="delivered"} 4.0' in generate_latest(
        registry
    )


WATCH = """
from chassis import metrics
metrics.write_as({place!r})
metrics.oldest_gauge().labels(lane="mail").set({place!r} == "1")
"""


def test_a_gauge_tells_what_was_written_last(run, tmp_path):
    for place in ("1", "worker"):
        run(WATCH, place)

    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(tmp_path))
    assert b'outbox_oldest_seconds{lane="mail"} 0.0' in generate_latest(registry)
