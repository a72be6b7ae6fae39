"""What clients notice while a database is frozen or a neighbour is down, as in tests/chaos/outages.

Counts and wide limits only: how fast all of it is, is measured by the script.
"""

import pytest

from tests.chaos.outages import DOWN, Shop, frozen_database, neighbour_down


@pytest.fixture(scope="module")
def shop(stack):
    return Shop(stack)


def test_a_frozen_database_lets_nobody_wait_for_long_and_the_other_services_answer(shop):
    figures = frozen_database(shop, seconds=3)  # raises if another service does not answer 200

    assert figures["answers"]["503 unavailable"] > 5
    assert set(figures["answers"]) <= {"200", "503 unavailable"}
    assert figures["slowest_seconds"] < 6
    assert figures["healed_seconds"] < 10


@pytest.mark.parametrize("how", DOWN)
def test_a_neighbour_that_is_down_is_left_alone_and_every_order_ends(shop, how):
    figures = neighbour_down(shop, how, seconds=5, rate=20)

    assert set(figures["answers"]) <= {"201", "202", "503 unavailable"}
    assert figures["answers"]["202"] > 50
    assert figures["calls"] <= figures["calls_most"]
    assert figures["ended_seconds"] < 40
