"""Sixty seconds of faults under load break no promise."""

import pytest

from tests.chaos.experiment import run

pytestmark = pytest.mark.slow


def test_a_minute_of_chaos_breaks_no_promise(tmp_path):
    report = run(seed=1, seconds=60, rate=8, folder=tmp_path)

    assert report["troubles"] == []
    assert report["orders_by_state"]["confirmed"] > 50
    assert sum(report["calls_hit_by_the_network"].values()) > 10
    assert {promise: found for promise, found in report["violations"].items() if found} == {}
