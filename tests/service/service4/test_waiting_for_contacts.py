"""Notifications that wait for the address of their user are counted, whatever the cause; so are
e-mails that the mail server has put off."""

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
    assert figures() == dict.fromkeys(
        (
            "without_contact",
            "without_contact_oldest_seconds",
            "deferred",
            "deferred_oldest_seconds",
        ),
        0,
    )

    order_event("order.confirmed", order_id=1)
    order_event("order.confirmed", order_id=2)
    rows("UPDATE notifications SET created_at = now() - interval '1 hour' WHERE order_id = 1")

    found = figures()
    assert found["without_contact"] == 2
    assert 3600 <= found["without_contact_oldest_seconds"] < 3700

    user_event("user.updated")
    assert figures()["without_contact"] == 0


def test_deferred_ones_are_counted_with_the_age_of_the_oldest(
    user_event, figures, rows, postbox, work
):
    postbox.refusal = "450 Later"
    user_event("user.registered", 7)
    user_event("user.registered", 8)
    work()
    rows("UPDATE notifications SET deferred_since = now() - interval '1 hour' WHERE user_id = 7")

    found = figures()
    assert found["deferred"] == 2
    assert 3600 <= found["deferred_oldest_seconds"] < 3700

    postbox.refusal = None
    work()
    assert figures()["deferred"] == 0
