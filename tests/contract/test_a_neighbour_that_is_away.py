"""A service that is away while the others have much to tell it."""

import time

from chassis import guard, testing
from tests.system.front_door import wait_for

EVENTS = 100


def test_it_is_hardly_called_meanwhile_and_told_everything_afterwards(shop, a_user, databases):
    def do_what_is_due():
        testing.query(databases("microservice1"), "UPDATE outbox SET due_at = now()")
        shop.work()

    shop.network.down = {"microservice4"}
    for number in range(EVENTS):
        a_user(f"user{number}", f"user{number}@customers.invalid")
    for _ in range(20):
        do_what_is_due()

    called = [call for call in shop.network.calls if call[0] == "microservice4"]
    [(waiting, attempts)] = testing.query(
        databases("microservice1"), "SELECT count(*), sum(attempts) FROM outbox"
    )
    assert waiting == EVENTS
    assert len(called) < 20
    assert attempts <= len(called)

    shop.network.down = set()
    time.sleep(guard.OPEN_SECONDS)
    wait_for(
        lambda: (
            do_what_is_due()
            or testing.query(databases("microservice1"), "SELECT count(*) FROM outbox") == [(0,)]
        )
    )
    told = "SELECT count(*) FROM notifications WHERE event_type = 'user.registered'"
    assert testing.query(databases("microservice4"), told) == [(EVENTS,)]
