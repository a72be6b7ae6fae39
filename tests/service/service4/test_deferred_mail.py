"""E-mails that the mail server puts off wait aside, for longer each time, for five days."""

import asyncio
import time
from datetime import timedelta
from threading import Thread

import pytest

from chassis import guard, testing
from chassis.worker import Worker
from microservice4.logic import deferring
from microservice4.logic.deferring import FIRST_PAUSE, LONGEST_PAUSE, TRIED_FOR, pause_after
from microservice4.worker import LANES
from tests.service.service4.mailing import in_minutes, one_step, use

LATER = "450 4.1.2 Recipient address rejected: Domain not found"


class Deferring:
    """A mail server that answers 450 after a while to all addresses that begin with `slow`."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.events = []  # ("deferred" or "taken", address), in their order

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("slow"):
            await asyncio.sleep(self.seconds)
            self.events.append(("deferred", address))
            return LATER
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.events.append(("taken", envelope.rcpt_tos[0]))
        return "250 Taken"


@pytest.fixture
def working(service):
    """A worker that runs with threads of its own, as in production."""

    def run():
        with service.active():
            worker.run()

    worker = Worker(service, LANES, frequent=[deferring.take_up])
    thread = Thread(target=run)
    thread.start()
    yield
    worker.stop()
    thread.join()


@pytest.fixture
def burst(orders_service, users_service):
    """Returns a function: so many users register, all with a mistyped address, in few requests."""

    def burst(number):
        for begin in range(0, number, 50):
            events = [registration(user_id) for user_id in range(begin, begin + 50)]
            answer = users_service.post(
                "/internal/events",
                json=events[: number - begin],
                content_type="application/cloudevents-batch+json",
            )
            assert answer.status_code == 204, answer.text

    return burst


def registration(number):
    user = {"user_id": 1000 + number, "username": "ada", "email": f"slow{number}@dead{number}.org"}
    return {
        "specversion": "1.0",
        "id": f"burst-{number}",
        "source": "/microservice1",
        "type": "user.registered",
        "subject": f"user/{1000 + number}",
        "time": "2026-01-31T09:30:00Z",
        "data": user,
    }


def long(*values):
    return pytest.param(*values, marks=pytest.mark.long)


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@pytest.mark.parametrize("tried", ["never", "once"])
@pytest.mark.parametrize(("addresses", "pause"), [(100, 0.5), long(200, 0.0), long(200, 2.5)])
def test_good_mail_leaves_beside_addresses_that_are_put_off_by_a_slow_server(
    addresses, pause, tried, burst, user_event, start_mail_server, rows, request
):
    """At most one conversation that is in progress in each thread comes before it."""
    server = start_mail_server(Deferring(pause))
    burst(addresses)
    if tried == "once":
        rows("DELETE FROM outbox")
        rows("UPDATE notifications SET retry_at = now(), deferred_since = now(), attempts = 1")
    request.getfixturevalue("working")
    until(lambda: server.events)

    for number in range(3):
        before, began = len(server.events), time.monotonic()
        user_event("user.registered", email=f"good{number}@example.com")
        taken = ("taken", f"good{number}@example.com")
        until(lambda taken=taken: taken in server.events)
        passed = server.events.index(taken) - before
        seconds = time.monotonic() - began

        threads = sum(lane.threads for lane in LANES.values())
        assert pause == 0 or passed <= 2 * threads
        assert seconds < 5 or not pause or addresses < 200


def pauses(rows):
    return rows("SELECT attempts, round(extract(epoch FROM retry_at - now())) FROM notifications")


def test_pauses_grow_to_half_an_hour(user_event, postbox, service, rows):
    postbox.refusal = LATER
    user_event("user.registered")
    one_step(service)

    found = []
    for minutes in (0, 1, 2, 4, 8, 16, 32, 600):
        rows(
            "UPDATE notifications SET retry_at = now() - interval '1 s',"
            " deferred_since = now() - make_interval(mins => %(minutes)s)",
            minutes=minutes,
        )
        with service.active():
            deferring.take_up()
            Worker(service, LANES).step(deferring.LANE)
        [(_, seconds)] = pauses(rows)
        found.append(round(seconds / 60))

    assert found == [1, 1, 2, 4, 8, 16, 30, 30]
    assert rows("SELECT count(*) FROM outbox") == [(0,)]


def test_a_deferred_letter_is_not_tried_before_its_pause_is_over(
    user_event, postbox, service, rows
):
    postbox.refusal = LATER
    user_event("user.registered")
    worker = Worker(service, LANES)
    for _ in range(5):
        testing.deliver_all(worker)
        with service.active():
            deferring.take_up()

    assert rows("SELECT attempts, status, last_error FROM notifications") == [(1, "queued", LATER)]
    [(_, seconds)] = pauses(rows)
    assert 50 < seconds <= 60


def test_after_five_days_it_has_failed_and_an_administrator_can_retry_it(
    user_event, postbox, work, rows, admin, notifications
):
    postbox.refusal = LATER
    user_event("user.registered")
    work()
    rows("UPDATE notifications SET deferred_since = now() - interval '4 days 23 hours'")
    work()
    assert [entry["status"] for entry in notifications()] == ["queued"]

    rows("UPDATE notifications SET deferred_since = now() - interval '5 days'")
    work()

    [found] = notifications()
    assert (found["status"], found["attempts"], found["retry_at"]) == ("failed", 3, None)
    assert found["last_error"] == f"given up after 5 days: {LATER}"

    assert admin.post("/notifications/1/retry").status_code == 202
    work()
    [found] = notifications()
    assert (found["status"], found["attempts"]) == ("queued", 4)  # for five days again
    postbox.refusal = None
    work()
    assert [entry["status"] for entry in notifications()] == ["sent"]


def test_the_days_begin_with_the_first_try_and_not_while_the_server_is_away(
    user_event, work, rows, start_mail_server, notifications
):
    user_event("user.registered")
    work()
    rows("UPDATE notifications SET created_at = now() - interval '9 days'")
    start_mail_server().refusal = LATER
    rows("UPDATE outbox SET due_at = now()")

    work()

    assert [entry["status"] for entry in notifications()] == ["queued"]


def test_when_an_address_takes_one_letter_the_others_to_it_are_tried_at_once(
    user_event, order_event, postbox, service, rows
):
    user_event("user.updated")
    postbox.refusal = LATER
    order_event("order.confirmed", order_id=1)
    one_step(service)
    postbox.refusal = None
    order_event("order.confirmed", order_id=2)

    one_step(service)

    assert rows("SELECT retry_at <= now() FROM notifications WHERE order_id = 1") == [(True,)]


def test_a_letter_that_a_stepped_clock_put_off_for_days_is_tried(
    user_event, postbox, service, rows
):
    postbox.refusal = LATER
    user_event("user.registered")
    one_step(service)
    rows("UPDATE notifications SET retry_at = now() + interval '3 days'")
    with service.active():
        deferring.take_up()

    assert rows("SELECT lane FROM outbox") == [(deferring.LANE,)]


def test_the_lane_of_deferred_letters_is_filled_to_a_limit(burst, service, rows):
    burst(deferring.MOST_IN_LANE + 20)
    rows("DELETE FROM outbox")
    rows("UPDATE notifications SET retry_at = now() - interval '1 s', deferred_since = now()")

    for _ in range(2):
        with service.active():
            deferring.take_up()

    assert rows("SELECT lane, count(*) FROM outbox GROUP BY lane") == [
        (deferring.LANE, deferring.MOST_IN_LANE)
    ]
    assert rows("SELECT count(*) FROM notifications WHERE retry_at IS NOT NULL") == [(20,)]


def test_finding_what_is_due_reads_an_index(service, rows):
    rows(
        """
        INSERT INTO notifications (user_id, event_id, event_type, facts, request_id, retry_at)
        SELECT n, n::text, 'user.registered', '{}', 'r',
               CASE WHEN mod(n, 100) = 0 THEN now() + interval '1 minute' END
          FROM generate_series(1, 5000) AS n
        """
    )
    rows("ANALYZE notifications")

    plan = str(
        rows(
            """
            EXPLAIN SELECT id FROM notifications
             WHERE status = 'queued'
               AND retry_at NOT BETWEEN now() AND now() + interval '30 minutes'
             ORDER BY retry_at, id LIMIT 100
            """
        )
    )
    assert "notifications_to_retry" in plan


class TestCodes:
    @pytest.fixture
    def reset(self, user_event, postbox):
        """Returns a function: a reset is asked for, and its code ends after so many minutes."""

        def reset(minutes):
            postbox.refusal = LATER
            user_event(
                "user.password_reset_requested",
                recipient="ada@example.com",
                recipient_confirmed=True,
                code="0f9d7c1e6b3a4852",
                code_expires_at=in_minutes(minutes),
            )

        return reset

    def test_a_letter_whose_code_outlives_the_pause_is_tried_again(
        self, reset, work, postbox, rows
    ):
        reset(minutes=30)
        work()
        postbox.refusal = None
        work()

        assert rows("SELECT status FROM notifications") == [("sent",)]

    def test_one_whose_code_ends_before_the_next_try_is_not_sent(self, reset, work, rows):
        reset(minutes=0.9)
        work()

        assert rows("SELECT status, code, attempts, retry_at, last_error FROM notifications") == [
            ("suppressed", None, 1, None, deferring.EXPIRES)
        ]

    def test_while_it_is_deferred_an_administrator_can_have_it_tried(
        self, reset, work, postbox, admin, rows
    ):
        reset(minutes=30)
        work()
        postbox.refusal = None

        assert admin.post("/notifications/1/retry").status_code == 202
        work()
        assert rows("SELECT status, code FROM notifications") == [("sent", None)]


class TestAMailServerThatIsAway:
    def test_it_is_probed_and_not_every_letter_is_tried(self, burst, service, rows, monkeypatch):
        monkeypatch.setattr(guard, "OPEN_SECONDS", 60)  # so that no probe goes in the meantime
        burst(30)
        worker = Worker(service, LANES)
        with service.active():
            for _ in range(20):
                worker.step("mail")
            breaker = service.guards[guard.MAIL_SERVER].breaker
            assert not breaker.is_closed

        assert rows("SELECT sum(attempts) FROM notifications") == [(0,)]
        assert rows("SELECT sum(attempts) FROM outbox") == [(0,)]
        assert rows("SELECT count(*) FROM notifications WHERE last_error IS NOT NULL") == [
            (guard.FAILURES_TO_OPEN,)
        ]
        assert rows("SELECT count(*) FROM notifications WHERE retry_at IS NOT NULL") == [(0,)]

    def test_all_letters_leave_when_it_is_back(
        self, burst, service, start_mail_server, request, rows
    ):
        burst(30)
        rows("UPDATE notifications SET recipient = 'good' || id || '@example.com'")
        request.getfixturevalue("working")
        until(lambda: not service.guards[guard.MAIL_SERVER].breaker.is_closed)

        server = start_mail_server(Deferring(0))

        until(lambda: len(server.events) == 30)

    def test_one_that_refuses_an_address_is_there(self, burst, service, start_mail_server, rows):
        start_mail_server(Deferring(0))
        burst(3 * guard.FAILURES_TO_OPEN)
        testing.deliver_all(Worker(service, LANES))

        assert service.guards[guard.MAIL_SERVER].breaker.is_closed
        assert rows("SELECT DISTINCT attempts FROM notifications") == [(1,)]

    def test_one_that_falls_silent_after_the_recipient_has_put_the_letter_off(
        self, user_event, service, start_mail_server, rows
    ):
        start_mail_server(Deferring(5))
        user_event("user.registered", email="slow@example.com")
        one_step(service)

        assert rows("SELECT attempts, retry_at > now(), last_error FROM notifications") == [
            (1, True, "127.0.0.1: SMTPServerDisconnected")
        ]


def test_pauses_stay_within_their_limits():
    assert pause_after(timedelta(0)) == pause_after(-timedelta(days=1)) == FIRST_PAUSE
    assert pause_after(TRIED_FOR) == LONGEST_PAUSE


class TestACorrectedAddress:
    @pytest.fixture
    def mistyped(self, user_event, start_mail_server, work):
        """Ada registered with an address that is put off. Returns the mail server."""
        server = start_mail_server(Deferring(0))
        user_event(
            "user.registered",
            version=1,
            email="slow-ada@gmial.example",
            email_confirmed=False,
            code="0f9d7c1e6b3a4852",
            code_expires_at=in_minutes(600),
        )
        work()
        return server

    def correct(self, user_event, event_type="user.updated", version=2, **fields):
        address = {"email": "ada@gmail.example", "email_confirmed": False}
        user_event(event_type, version=version, **address, **fields)

    def test_what_is_queued_goes_there_at_once_and_holds_up_nothing(
        self, mistyped, user_event, service, rows
    ):
        self.correct(user_event)
        self.correct(user_event, "user.promoted", 3, status="Silver")

        testing.deliver_all(Worker(service, LANES))

        assert mistyped.events[1:] == [("taken", "ada@gmail.example")] * 2
        assert rows("SELECT DISTINCT status, recipient FROM notifications") == [
            ("sent", "ada@gmail.example")
        ]

    def test_a_code_for_the_old_address_goes_nowhere(self, mistyped, user_event, work, rows):
        self.correct(user_event)

        [(body, code, code_expires_at)] = rows(
            "SELECT body, code, code_expires_at FROM notifications"
        )
        assert (code, code_expires_at) == (None, None)
        assert "Welcome to Quartet" in body
        assert "by this code" not in body

    def test_a_letter_that_only_takes_a_code_to_the_old_one_is_suppressed(
        self, mistyped, user_event, rows
    ):
        about = {"recipient_confirmed": False, "code": "1", "code_expires_at": in_minutes(600)}
        old = {"email": "slow-ada@gmial.example", "email_confirmed": False, "version": 1}
        for kind in ("confirmation", "password_reset"):
            user_event(f"user.{kind}_requested", recipient=old["email"], **about, **old)

        self.correct(user_event)

        found = rows("SELECT event_type, status, code FROM notifications ORDER BY id")
        assert found == [
            ("user.registered", "queued", None),
            ("user.confirmation_requested", "suppressed", None),
            ("user.password_reset_requested", "suppressed", None),
        ]

    def test_a_code_for_a_pending_address_that_was_replaced_is_suppressed(
        self, user_event, postbox, rows
    ):
        user_event("user.updated", version=1)
        for version, pending in enumerate(["slow@gmial.example", "ada@gmail.example"], 2):
            user_event(
                "user.confirmation_requested",
                version=version,
                recipient=pending,
                recipient_confirmed=False,
                code=pending,
                code_expires_at=in_minutes(600),
            )

        assert rows("SELECT recipient, status FROM notifications ORDER BY id") == [
            ("slow@gmial.example", "suppressed"),
            ("ada@gmail.example", "queued"),
        ]

    def test_the_old_one_is_still_warned(self, user_event, postbox, work):
        user_event("user.updated", version=1)
        user_event(
            "user.email_change_requested",
            version=2,
            recipient="ada@example.com",
            recipient_confirmed=True,
        )
        user_event("user.updated", version=3, email="new@example.com")

        work()

        assert [envelope.rcpt_tos for envelope in postbox.envelopes] == [["ada@example.com"]]

    def test_an_address_in_other_letters_keeps_its_code(self, mistyped, user_event, rows):
        user_event("user.updated", version=2, email="Slow-Ada@gmial.example", email_confirmed=False)

        assert rows("SELECT recipient, code FROM notifications") == [
            ("Slow-Ada@gmial.example", "0f9d7c1e6b3a4852")
        ]

    def test_an_older_event_readdresses_nothing(self, mistyped, user_event, rows):
        self.correct(user_event, version=0)

        assert rows("SELECT recipient FROM notifications") == [("slow-ada@gmial.example",)]

    def test_what_the_old_address_is_just_taking_went_there(
        self, user_event, start_mail_server, work, rows
    ):
        outer = self

        class Thoughtful(Deferring):
            async def handle_RCPT(self, server, session, envelope, address, options):
                outer.correct(user_event)
                return await super().handle_RCPT(server, session, envelope, address, options)

        server = start_mail_server(Thoughtful(0))
        user_event("user.registered", version=1, email="old@example.com", email_confirmed=False)
        work()

        assert server.events == [("taken", "old@example.com")]
        assert rows("SELECT status, recipient FROM notifications") == [("sent", "old@example.com")]

    def test_what_the_old_address_is_just_refusing_goes_to_the_new_one(
        self, user_event, start_mail_server, work, rows
    ):
        outer, answers = self, iter(["550 No such user"])

        class Thoughtful(Deferring):
            async def handle_RCPT(self, server, session, envelope, address, options):
                if refusal := next(answers, None):
                    outer.correct(user_event)
                    return refusal
                return await super().handle_RCPT(server, session, envelope, address, options)

        server = start_mail_server(Thoughtful(0))
        user_event("user.registered", version=1, email="old@example.com", email_confirmed=False)
        work()

        assert server.events == [("taken", "ada@gmail.example")]
        assert rows("SELECT status, attempts FROM notifications") == [("sent", 1)]

    def test_the_limit_of_a_day_holds_for_what_is_readdressed(
        self, user_event, order_event, service, notifications, rows
    ):
        use(service, unconfirmed_emails_per_day=3)
        user_event("user.updated", version=1)
        for number in range(5):
            order_event("order.confirmed", order_id=number + 1)
        rows("UPDATE notifications SET created_at = now() - interval '2 days'")

        self.correct(user_event)

        assert [entry["status"] for entry in notifications()] == ["queued"] * 3 + ["suppressed"] * 2


class TestGivingUp:
    @pytest.fixture
    def deferred(self, user_event, postbox, work):
        postbox.refusal = LATER
        user_event("user.registered")
        work()
        postbox.refusal = None

    def test_what_is_given_up_is_never_sent(self, deferred, admin, work, postbox, rows):
        answer = admin.post("/notifications/1/give-up")
        work()

        assert (answer.status_code, answer.json["status"]) == (200, "suppressed")
        assert answer.json["last_error"] == "an administrator has given it up"
        assert answer.json["retry_at"] is None
        assert postbox.envelopes == []
        assert rows("SELECT action, subject FROM audit_entries WHERE actor = 'user:1'") == [
            ("notification.given_up", "notification/1")
        ]

    def test_once_it_is_not_queued_it_cannot_be_given_up(self, deferred, admin):
        admin.post("/notifications/1/give-up")

        answer = admin.post("/notifications/1/give-up")

        assert (answer.status_code, answer.json["code"]) == (409, "not_queued")

    def test_what_waits_for_a_contact_can_be_given_up(self, order_event, user_event, admin, rows):
        order_event("order.confirmed")

        assert admin.post("/notifications/1/give-up").status_code == 200
        user_event("user.registered")
        assert rows("SELECT status FROM notifications WHERE id = 1") == [("suppressed",)]

    def test_a_deferred_letter_is_sent_at_once_when_an_administrator_says_so(
        self, deferred, admin, service, postbox
    ):
        answer = admin.post("/notifications/1/retry")

        assert (answer.status_code, answer.json["status"]) == (202, "queued")
        assert (answer.json["retry_at"], answer.json["last_error"]) == (None, None)
        testing.deliver_all(Worker(service, LANES))
        assert len(postbox.envelopes) == 1

    def test_a_deferred_letter_of_an_order_is_retried_though_later_news_waits_behind_it(
        self, user_event, order_event, postbox, work, admin, rows
    ):
        user_event("user.updated")
        postbox.refusal = LATER
        order_event("order.confirmed", version=1)
        order_event("order.shipped", version=2)
        work()
        postbox.refusal = None

        assert admin.post("/notifications/1/retry").json["status"] == "queued"
        work()
        assert rows("SELECT DISTINCT status FROM notifications") == [("sent",)]
