"""Mail servers that are busy, slow, silent or gone: they are left in time and asked again."""

import asyncio
import socket
import threading
import time

import pytest

from tests.service.service4.mailing import letter, one_step, use


def test_a_server_that_is_busy_is_asked_again_until_it_takes_the_letter(
    user_event, notifications, work, postbox
):
    postbox.refusal = "451 4.3.0 Try again later"
    user_event("user.registered")

    work()

    (found,) = notifications()
    assert (found["status"], found["last_error"]) == ("queued", "451 4.3.0 Try again later")
    assert found["attempts"] == 1

    postbox.refusal = None
    work()

    (found,) = notifications()
    assert (found["status"], found["last_error"]) == ("sent", None)
    assert found["attempts"] == 2
    assert len(postbox.envelopes) == 1


def test_a_server_that_is_down_is_asked_again_until_it_is_up(
    user_event, notifications, work, start_mail_server
):
    user_event("user.registered")

    work()

    (found,) = notifications()
    assert found["status"] == "queued"
    assert found["last_error"] == "127.0.0.1: ConnectionRefusedError"

    postbox = start_mail_server()
    work()

    assert [entry["status"] for entry in notifications()] == ["sent"]
    assert letter(postbox)["To"] == "ada@example.com"


def test_a_server_that_does_not_want_us_is_asked_again(
    user_event, notifications, work, start_mail_server
):
    class Strict:
        async def handle_MAIL(self, server, session, envelope, address, options):
            return "550 5.7.1 You may not send for shop@quartet.example"

    start_mail_server(Strict())
    user_event("user.registered")

    work()

    (found,) = notifications()
    assert found["status"] == "queued"
    assert found["last_error"] == "127.0.0.1: SMTPSenderRefused 550"


@pytest.mark.parametrize(
    ("greeting", "delay", "reason"),
    [
        (b"", 0, "SMTPServerDisconnected"),
        (b"220 hello\r\n", 0, "SMTPServerDisconnected"),
        (b"\xff\0\r\n", 0, "SMTPConnectError -1"),
        (b"554 go away\r\n", 0, "SMTPConnectError 554"),
        (b"421 busy, and slow to say so\r\n", 1.5, "SMTPConnectError 421"),
    ],
)
def test_a_server_that_babbles_or_falls_silent_is_left_in_time_and_asked_again(
    greeting, delay, reason, user_event, notifications, service, rows
):
    user_event("user.registered")
    with socket.create_server(("127.0.0.1", 0)) as server:
        use(service, smtp_url=f"smtp://127.0.0.1:{server.getsockname()[1]}")
        held = []

        def greet():
            held.append(server.accept()[0])
            time.sleep(delay)
            held[0].sendall(greeting)

        threading.Thread(target=greet, daemon=True).start()
        took = one_step(service)
        held[0].close()

    (found,) = notifications()
    assert (found["status"], found["attempts"]) == ("queued", 0)  # it says nothing of the e-mail
    assert found["last_error"] == f"127.0.0.1: {reason}"
    assert took < 6
    assert rows("SELECT last_error FROM outbox") == [(found["last_error"],)]


def test_a_server_that_is_slow_at_every_step_is_left_in_time(
    user_event, notifications, service, start_mail_server
):
    class Slow:
        async def handle_MAIL(self, server, session, envelope, address, options):
            await asyncio.sleep(0.9)
            envelope.mail_from = address
            return "250 OK"

        async def handle_RCPT(self, server, session, envelope, address, options):
            await asyncio.sleep(0.9)
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, server, session, envelope):
            await asyncio.sleep(1.9)
            return "250 Taken"

    start_mail_server(Slow())
    user_event("user.registered")

    took = one_step(service)

    assert [entry["status"] for entry in notifications()] == ["queued"]
    assert took < 6


def test_a_server_that_hangs_up_after_it_took_the_letter_has_taken_it(
    user_event, notifications, work, start_mail_server
):
    class Rude:
        async def handle_QUIT(self, server, session, envelope):
            return "421 4.3.0 Rather not"

        async def handle_DATA(self, server, session, envelope):
            return "250 Taken"

    start_mail_server(Rude())
    user_event("user.registered")

    work()

    assert [entry["status"] for entry in notifications()] == ["sent"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [("250 OK", "sent"), ("451 Later", "suppressed"), ("550 No", "suppressed")],
)
def test_a_user_who_leaves_while_the_server_thinks_gets_no_further_try(
    answer, status, user_event, notifications, work, start_mail_server
):
    class Slow:
        async def handle_RCPT(self, server, session, envelope, address, options):
            user_event("user.deleted")
            envelope.rcpt_tos.append(address)
            return answer

    start_mail_server(Slow())
    user_event("user.registered")

    work()
    work()

    assert [entry["status"] for entry in notifications()] == [status]
