"""Notifications that wait for the address of their user are counted, whatever the cause."""

import pytest

from microservice4 import commands


@pytest.fixture
def figures(commands_of):
    """Returns a function: the figures that scripts/status asks for."""
    command = commands_of(commands)

    def figures():
        code, said, _ = command("figures")
        assert code == 0
        return {name: int(value) for name, value in map(str.split, said.splitlines())}

    return figures


def test_they_are_counted_with_the_age_of_the_oldest(
    user_event, order_event, figures, rows, postbox, work
):
    assert figures() == {"without_contact": 0, "without_contact_oldest_seconds": 0}

    order_event("order.confirmed", order_id=1)
    order_event("order.confirmed", order_id=2)
    rows("UPDATE notifications SET created_at = now() - interval '1 hour' WHERE order_id = 1")

    found = figures()
    assert found["without_contact"] == 2
    assert 3600 <= found["without_contact_oldest_seconds"] < 3700

    user_event("user.updated")
    assert figures()["without_contact"] == 0
