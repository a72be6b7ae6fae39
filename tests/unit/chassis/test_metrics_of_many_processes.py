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
def count(tmp_path):
    """Returns a function: a process at that place counts one delivery, and ends."""

    def run(place):
        subprocess.run(
            [sys.executable, "-c", COUNT.format(place=place)],
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
            check=True,
        )

    return run


def test_processes_that_come_and_go_leave_one_file_for_each_place(count, tmp_path):
    for place in ("1", "1", "1", "worker"):
        count(place)

    assert sorted(file.name for file in tmp_path.iterdir()) == ["counter_1.db", "counter_worker.db"]
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(tmp_path))
    assert b'outbox_deliveries_total{lane="mail",outcome="delivered"} 4.0' in generate_latest(
        registry
    )
