"""However calls are lost, delayed and repeated, and whoever dies: all promises are kept in the end.

QUARTET_SEEDS=1-2000 tries others than the usual ones; a seed that fails names itself, and
QUARTET_SEEDS=17 tells its story again.
"""

import os

import pytest

from tests.simulation.promises import broken_promises

STEPS = 60


def _seeds():
    first, _, last = os.environ.get("QUARTET_SEEDS", "1-50").partition("-")
    return range(int(first), int(last or first) + 1)


@pytest.mark.parametrize("seed", _seeds())
def test_every_promise_is_kept(world_of, seed):
    world = world_of(seed)
    for _ in range(STEPS):
        world.step()
    world.heal()

    broken = broken_promises(world)
    assert not broken, "\n".join([f"seed {seed}", *broken, *world.story])
