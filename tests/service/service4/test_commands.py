"""What an operator does with notifications at a terminal."""

import pytest

from microservice4 import commands


@pytest.fixture
def run(app, commands_of):
    return commands_of(commands)


def test_notifications_of_a_smoke_test_are_erased_and_no_others(run, rows):
    rows(
        """
        INSERT INTO notifications (
                   user_id, order_id, event_id, event_type, facts, request_id, recipient
               )
        VALUES (7, NULL, 'a', 'user.registered', '{}', 'r', 'smoke-test-1a2b3c4d@quartet.invalid'),
               (7, 1, 'b', 'order.confirmed', '{}', 'r', 'smoke-test-1a2b3c4d@quartet.invalid'),
               (7, 1, 'after the user was deleted', 'order.cancelled', '{}', 'r', NULL),
               (7, 2, 'c', 'order.cancelled', '{}', 'r', 'ada@quartet.invalid'),
               (7, 3, 'd', 'order.cancelled', '{}', 'r', NULL),
               (8, 1, 'e', 'user.registered', '{}', 'r', 'smoke-test-00000000@quartet.invalid')
        """
    )

    assert run("erase-test-notifications", stdin="7\n") == (0, "", "")

    assert [event for (event,) in rows("SELECT event_id FROM notifications ORDER BY 1")] == [
        "c",
        "d",
        "e",
    ]
