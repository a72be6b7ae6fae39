"""Anybody may enter any address: what goes to one that is not known to be its user's."""

from email import message_from_bytes
from email.policy import default

import pytest

from microservice4.logic.rendering import PLACE_OF_CODE
from tests.service.service4.mailing import in_minutes, letter, one_step, use

LURE = "You have won"
CODE = "0f9d7c1e6b3a48529d2e7f60c4b1a835"


@pytest.fixture
def registered(user_event):
    """Returns a function: a stranger has registered with words of their own choice."""

    def registered(user_id=7, **fields):
        user_event(
            "user.registered",
            user_id,
            **{
                "version": 1,
                "username": "evil.example",
                "full_name": LURE,
                "email_confirmed": False,
                "code": CODE,
                "code_expires_at": in_minutes(60),
                "headers": {"X-Request-ID": "Visit-evil.example"},
                **fields,
            },
        )

    return registered


@pytest.fixture
def reset_asked(user_event):
    """Returns a function: a password reset was asked for."""

    def reset_asked(user_id=7, **fields):
        user_event(
            "user.password_reset_requested",
            user_id,
            **{
                "email_confirmed": False,
                "recipient": "ada@example.com",
                "recipient_confirmed": False,
                "code": CODE,
                "code_expires_at": in_minutes(30),
                **fields,
            },
        )

    return reset_asked


def test_no_letter_holds_a_word_of_the_registrant(
    registered, user_event, order_event, reset_asked, work, postbox
):
    registered()
    chosen = {"username": "evil.example", "full_name": LURE, "email_confirmed": False}
    own = {"headers": {"X-Request-ID": "Visit-evil.example"}}
    user_event("user.promoted", status="Silver", version=2, **chosen, **own)
    for number, kind in enumerate(("confirmed", "shipped", "delivered", "cancelled")):
        order_event(f"order.{kind}", order_id=number + 1, reason="Cancelled by the customer", **own)
    reset_asked(**chosen, **own)
    user_event(
        "user.confirmation_requested",
        recipient="ada@example.com",
        recipient_confirmed=False,
        code=CODE,
        code_expires_at=in_minutes(60),
        **chosen,
        **own,
    )

    work()

    assert len(postbox.envelopes) == 8
    for envelope in postbox.envelopes:
        read = message_from_bytes(envelope.content, policy=default)
        assert read.get_content().startswith("Hello,")
        for word in (LURE, "evil.example"):
            assert word not in str(read)


def test_once_it_is_confirmed_letters_greet_by_name(registered, user_event, work, postbox):
    registered(full_name="Ada Lovelace")
    work()
    user_event("user.updated", version=2, email_confirmed=True)
    user_event("user.promoted", version=3, status="Silver", email_confirmed=True)

    work()

    last = message_from_bytes(postbox.envelopes[-1].content, policy=default)
    assert "Dear Ada Lovelace," in last.get_content()
    assert last["X-Request-ID"]


def test_what_an_older_release_tells_counts_as_confirmed(user_event, work, postbox):
    user_event("user.registered")

    work()

    assert "Dear Ada Lovelace," in letter(postbox).get_content()


class TestCodes:
    def test_the_letter_holds_the_code_and_nothing_else_does(
        self, registered, work, postbox, notifications, customer, rows
    ):
        registered()
        views = [notifications(), customer.get("/notifications").json]
        work()
        views += [notifications(), customer.get("/notifications/1").json]

        assert f"\r\n  {CODE}\r\n" in letter(postbox).get_content()
        assert CODE not in str(views)
        assert PLACE_OF_CODE in views[0][0]["body"]
        [(kept,)] = rows("SELECT notifications::text FROM notifications")
        assert CODE not in kept

    def test_while_it_waits_it_is_in_one_column(self, registered, work, rows):
        registered()
        work()  # there is no mail server

        assert rows("SELECT code FROM notifications") == [(CODE,)]
        [(rest,)] = rows("UPDATE notifications SET code = NULL RETURNING notifications::text")
        assert CODE not in rest
        assert CODE not in str(rows("SELECT message FROM outbox"))

    @pytest.mark.parametrize("email", ["ada@example.com", "ada@customers.invalid"])
    def test_of_one_that_is_refused_or_not_to_be_sent_nothing_is_left(
        self, registered, work, postbox, rows, email
    ):
        postbox.refusal = "550 No such user"
        registered(email=email)
        work()

        [(status, code)] = rows("SELECT status, code FROM notifications")
        assert status in ("failed", "suppressed")
        assert code is None

    def test_of_a_user_who_has_left_nothing_is_left(self, registered, user_event, rows):
        registered()
        user_event("user.deleted", version=2)

        assert rows("SELECT status, code FROM notifications") == [("suppressed", None)]

    def test_one_that_failed_is_not_tried_again(self, registered, work, postbox, admin):
        postbox.refusal = "550 No such user"
        registered()
        work()

        answer = admin.post("/notifications/1/retry")

        assert (answer.status_code, answer.json["code"]) == (409, "code_forgotten")

    def test_one_that_has_expired_is_not_sent(self, reset_asked, work, postbox, notifications):
        reset_asked(code_expires_at=in_minutes(-1))

        work()

        [found] = notifications()
        assert (found["status"], found["attempts"]) == ("suppressed", 0)
        assert "expired" in found["last_error"]
        assert postbox.envelopes == []

    def test_a_repeat_is_the_same_to_the_byte_until_it_is_written_down(
        self, registered, work, postbox, rows
    ):
        registered()
        rows(
            """
            CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE disk_full; END $$;
            CREATE TRIGGER no_space BEFORE UPDATE ON notifications EXECUTE FUNCTION no_space()
            """
        )
        work()
        assert rows("SELECT code FROM notifications") == [(CODE,)]
        rows("DROP FUNCTION no_space CASCADE")
        work()

        assert len(postbox.envelopes) == 1
        assert rows("SELECT status, code FROM notifications") == [("sent", None)]

    def test_with_a_site_there_is_a_link(self, service, registered, work, postbox):
        use(service, public_url="https://shop.example")
        registered()

        work()

        assert f"https://shop.example/confirm#code={CODE}" in letter(postbox).get_content()


class TestLettersAboutAnAddress:
    @pytest.fixture
    def changing(self, user_event):
        """Ada, at a confirmed address, enters another one."""
        user_event("user.updated", version=1)
        another = {"version": 2, "email_confirmed": True}
        user_event(
            "user.confirmation_requested",
            recipient="countess@example.org",
            recipient_confirmed=False,
            code=CODE,
            code_expires_at=in_minutes(60),
            **another,
        )
        user_event(
            "user.email_change_requested",
            recipient="ada@example.com",
            recipient_confirmed=True,
            **another,
        )

    def test_the_new_one_gets_a_code_and_the_old_one_a_warning(self, changing, work, postbox):
        work()

        letters = {
            envelope.rcpt_tos[0]: message_from_bytes(envelope.content, policy=default)
            for envelope in postbox.envelopes
        }
        new, old = letters["countess@example.org"], letters["ada@example.com"]
        assert new["Subject"] == "Confirm your e-mail address"
        assert new.get_content().startswith("Hello,")
        assert CODE in new.get_content()
        assert old["Subject"] == "Another e-mail address was entered for your account"
        assert old.get_content().startswith("Dear Ada Lovelace,")
        assert CODE not in old.get_content()

    def test_orders_go_to_the_old_one_still(self, changing, order_event, notifications):
        order_event("order.confirmed")

        assert notifications(order_id=12)[0]["recipient"] == "ada@example.com"

    def test_one_whose_mail_server_takes_nothing_holds_up_no_other(
        self, changing, reset_asked, service, postbox, work, rows
    ):
        postbox.refusal = "451 Later"
        one_step(service)
        rows("UPDATE outbox SET due_at = now() + interval '1 minute'")
        postbox.refusal = None
        reset_asked(recipient_confirmed=True, email_confirmed=True)

        one_step(service)

        assert letter(postbox)["Subject"] == "Set a new password"

    def test_a_warning_that_failed_is_tried_again_where_it_was_to_go(
        self, changing, user_event, postbox, work, admin, rows
    ):
        postbox.refusal = "550 No such user"
        work()
        postbox.refusal = None
        user_event("user.updated", version=3, email="countess@example.org")
        [(number,)] = rows(
            "SELECT id FROM notifications WHERE event_type = 'user.email_change_requested'"
        )

        answer = admin.post(f"/notifications/{number}/retry")
        work()

        assert (answer.status_code, answer.json["recipient"]) == (202, "ada@example.com")
        assert postbox.envelopes[-1].rcpt_tos == ["ada@example.com"]


class TestTheLimitOfADay:
    @pytest.fixture(autouse=True)
    def _three(self, service):
        use(service, unconfirmed_emails_per_day=3)

    def test_more_letters_are_suppressed_and_say_why(
        self, registered, order_event, notifications, work, postbox
    ):
        registered()
        for order_id in range(1, 6):
            order_event("order.confirmed", order_id=order_id)
        work()

        found = notifications()
        assert [entry["status"] for entry in found] == ["sent"] * 3 + ["suppressed"] * 3
        assert "UNCONFIRMED_EMAILS_PER_DAY" in found[-1]["last_error"]
        assert len(postbox.envelopes) == 3

    def test_they_are_counted_by_address_whoever_enters_it(self, registered, notifications):
        for user_id in range(100, 105):
            registered(user_id, email="Victim@example.com" if user_id % 2 else "victim@example.com")

        assert [e["status"] for e in notifications()] == ["queued"] * 3 + ["suppressed"] * 2

    def test_they_are_counted_by_mailbox_however_it_is_spelled(self, registered, notifications):
        for user_id in range(100, 105):
            domain = "xn--bcher-kva.example" if user_id % 2 else "Bücher.example"
            registered(user_id, email=f"victim@{domain}")

        assert [e["status"] for e in notifications()] == ["queued"] * 3 + ["suppressed"] * 2

    def test_a_day_later_there_are_more(
        self, registered, order_event, notifications, rows, work, postbox
    ):
        registered()
        for order_id in range(1, 4):
            order_event("order.confirmed", order_id=order_id)
        work()
        rows("UPDATE notifications SET sent_at = now() - interval '25 hours'")

        order_event("order.shipped", order_id=1, version=2)

        assert notifications(order_id=1)[-1]["status"] == "queued"

    def test_letters_that_wait_count_for_as_long_as_they_wait(
        self, registered, order_event, notifications, rows
    ):
        registered()
        for order_id in range(1, 3):
            order_event("order.confirmed", order_id=order_id)
        rows("UPDATE notifications SET created_at = now() - interval '25 hours'")

        order_event("order.shipped", order_id=1, version=2)

        assert notifications(order_id=1)[-1]["status"] == "suppressed"

    def test_a_confirmed_address_has_no_limit(self, user_event, order_event, notifications):
        user_event("user.updated")
        for order_id in range(1, 7):
            order_event("order.confirmed", order_id=order_id)

        assert {entry["status"] for entry in notifications()} == {"queued"}

    def test_nobody_can_use_up_the_resets_of_its_owner(
        self, registered, order_event, reset_asked, notifications
    ):
        registered()
        for order_id in range(1, 6):
            order_event("order.confirmed", order_id=order_id)

        for _ in range(4):
            reset_asked()

        resets = notifications(event_type="user.password_reset_requested")
        assert [entry["status"] for entry in resets] == ["queued"] * 3 + ["suppressed"]

    def test_what_waited_for_the_address_is_counted_too(
        self, registered, order_event, notifications
    ):
        for order_id in range(1, 6):
            order_event("order.confirmed", order_id=order_id)
        registered()

        found = [(e["event_type"], e["status"]) for e in notifications()]
        assert [status for kind, status in found if kind.startswith("order.")] == [
            "queued",
            "queued",
            "queued",
            "suppressed",
            "suppressed",
        ]

    def test_counting_reads_an_index(self, service, rows):
        rows(
            """
            INSERT INTO notifications (
                       user_id, event_id, event_type, facts, request_id, recipient, unconfirmed
                   )
            SELECT n, n::text, 'user.registered', '{}', 'r', 'to' || n || '@example.com', true
              FROM generate_series(1, 2000) AS n
            """
        )
        rows("ANALYZE notifications")
        plan = str(
            rows(
                """
                EXPLAIN SELECT FROM notifications
                 WHERE unconfirmed
                   AND status <> 'suppressed'
                   AND lower(recipient) = ANY(ARRAY['to7@example.com', 'to7@example.com'])
                   AND (
                           status = 'queued'
                           OR coalesce(sent_at, created_at) > now() - interval '1 day'
                       )
                   AND event_id <> 'another'
                 LIMIT 3
                """
            )
        )
        assert "notifications_unconfirmed" in plan
