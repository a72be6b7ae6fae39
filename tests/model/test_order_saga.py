"""The saga as designed keeps its promises in every state it can reach, and needs all its rules."""

import pytest

from tests.model.order_saga import MUTATIONS, Order, explore

WITH_POINTS, WITHOUT = Order(points=True), Order(points=False)


@pytest.mark.parametrize("supply", [0, 1])
@pytest.mark.parametrize("order", [WITH_POINTS, WITHOUT])
def test_one_order_keeps_every_promise_and_can_always_reach_its_end(order, supply):
    found = explore((order,), supply)

    assert found.story is None
    assert found.stuck == 0


@pytest.mark.parametrize("other", [WITH_POINTS, WITHOUT])
def test_two_orders_for_the_last_piece_keep_every_promise(other):
    found = explore((WITH_POINTS, other), 1)

    assert found.story is None
    assert found.states > 30_000


@pytest.mark.parametrize("rule", MUTATIONS)
def test_no_rule_can_be_left_out(rule):
    alone = explore((WITH_POINTS,), 1, (rule,)).story
    assert alone or explore((WITH_POINTS, WITHOUT), 1, (rule,)).story
