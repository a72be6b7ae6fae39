"""Letters on their way: what is sent, to whom, once each, and what is nobody's business."""

import threading
from email import message_from_bytes
from email.policy import default

import pytest

from chassis.testing import deliver_all
from chassis.worker import Worker
from microservice4.logic.deferring import WAITS
from microservice4.worker import LANES
from tests.service.service4.mailing import letter, one_step, subjects, use

REFUSED = "this address cannot be written to: it must "


def test_a_confirmed_order_arrives_at_a_real_mail_server(
    user_event, order_event, notifications, work, postbox
):
    user_event("user.updated")
    order_event("order.confirmed", id="0b7a3c0e", headers={"X-Request-ID": "req-1"})

    work()

    (found,) = notifications()
    assert (found["status"], found["attempts"], found["last_error"]) == ("sent", 1, None)
    assert found["sent_at"] >= found["created_at"]
    mail = letter(postbox)
    assert postbox.envelopes[0].rcpt_tos == ["ada@example.com"]
    assert postbox.envelopes[0].mail_from == "shop@quartet.example"
    assert mail["To"] == "ada@example.com"
    assert mail["From"] == "Quartet <shop@quartet.example>"
    assert mail["Subject"] == "Your order 12 is confirmed"
    assert mail["Message-ID"] == "<0b7a3c0e@quartet.example>"
    assert mail["X-Request-ID"] == "req-1"
    assert "2 x Desk lamp, 29.90 EUR each: 59.80 EUR" in mail.get_content()
    assert "Total: 59.80 EUR" in mail.get_content()


def test_the_email_bears_the_request_of_its_own_event_not_of_the_address(
    user_event, order_event, work, postbox
):
    order_event("order.confirmed", headers={"X-Request-ID": "the-order"})
    user_event("user.updated", headers={"X-Request-ID": "the-address"})

    work()

    assert letter(postbox)["X-Request-ID"] == "the-order"


def test_names_of_any_script_arrive_as_they_were_written(user_event, work, postbox):
    user_event("user.registered", full_name="Zoë Łukasiewicz 山田")

    work()

    assert "Dear Zoë Łukasiewicz 山田," in letter(postbox).get_content()


def test_an_address_of_any_script_is_written_to(user_event, notifications, work, postbox):
    user_event("user.registered", email="zoë@bücher.example")

    work()

    assert [entry["status"] for entry in notifications()] == ["sent"]
    assert postbox.envelopes[0].rcpt_tos == ["zoë@xn--bcher-kva.example"]
    assert postbox.envelopes[0].smtp_utf8


def test_a_domain_of_any_script_needs_nothing_of_the_mail_server(
    user_event, notifications, work, start_mail_server
):
    postbox = start_mail_server(enable_SMTPUTF8=False)
    user_event("user.registered", email="Info@Bücher.example")

    work()

    assert [entry["status"] for entry in notifications()] == ["sent"]
    assert [entry["recipient"] for entry in notifications()] == ["Info@Bücher.example"]
    assert postbox.envelopes[0].rcpt_tos == ["Info@xn--bcher-kva.example"]
    assert letter(postbox)["To"] == "Info@xn--bcher-kva.example"


def test_an_address_that_the_server_cannot_write_to_fails(
    user_event, notifications, work, start_mail_server
):
    postbox = start_mail_server(enable_SMTPUTF8=False)
    user_event("user.registered", email="zoë@bücher.example")

    work()

    (found,) = notifications()
    assert (found["status"], found["attempts"]) == ("failed", 1)
    assert "ASCII" in found["last_error"]
    assert postbox.envelopes == []


@pytest.mark.parametrize(
    "email",
    [
        "ada@example.com\r\nBcc: eve@example.com",
        "ada\nBcc: eve@example.com\n@example.com",
        "nobody",
        "ada@example.com, eve@example.com",
        "@example.com",
        "ada@",
    ],
)
def test_what_is_no_address_fails_and_smuggles_nothing(
    email, user_event, notifications, work, postbox
):
    user_event("user.registered", email=email)

    work()

    (found,) = notifications()
    assert found["status"] == "failed"
    assert found["last_error"].startswith(REFUSED)
    assert postbox.envelopes == []


def test_a_name_cannot_smuggle_in_a_header(user_event, work, postbox):
    user_event("user.promoted", status="Gold\r\nBcc: eve@example.com", full_name="A\r\n\r\nB")

    work()

    mail = letter(postbox)
    assert mail["Bcc"] is None
    assert mail["Subject"] == "You are now Gold Bcc: eve@example.com"
    assert "Dear A B," in mail.get_content()


def test_a_recipient_that_the_server_refuses_is_a_failure_and_not_tried_again(
    user_event, notifications, work, postbox, rows
):
    postbox.refusal = "550 5.1.1 <Ada@Example.com>: no such user"
    user_event("user.registered")

    work()
    work()

    (found,) = notifications()
    assert (found["status"], found["attempts"], found["sent_at"]) == ("failed", 1, None)
    assert found["last_error"] == "550 5.1.1 <recipient>: no such user"
    assert rows("SELECT count(*) FROM outbox") == [(0,)]


def test_a_letter_that_the_server_refuses_is_a_failure(
    user_event, notifications, work, start_mail_server
):
    class Filter:
        async def handle_DATA(self, server, session, envelope):
            return "554 5.7.1 This looks like spam"

    start_mail_server(Filter())
    user_event("user.registered")

    work()

    (found,) = notifications()
    assert (found["status"], found["last_error"]) == ("failed", "554 5.7.1 This looks like spam")


def test_a_letter_that_is_too_large_for_the_server_is_a_failure(
    user_event, order_event, notifications, work, start_mail_server
):
    start_mail_server(data_size_limit=1000)
    user_event("user.updated")
    order_event("order.confirmed", items=[{"product_id": 1, "quantity": 1}] * 200)

    work()

    (found,) = notifications()
    assert found["status"] == "failed"
    assert found["last_error"].startswith("552")


def test_a_letter_that_is_put_off_holds_up_the_next_one_of_the_same_order_only(
    user_event, order_event, service, postbox, work, rows
):
    user_event("user.updated")
    order_event("order.confirmed", order_id=12, version=1)
    postbox.refusal = "451 Later"
    one_step(service)
    postbox.refusal = None
    order_event("order.shipped", order_id=12, version=2)
    order_event("order.confirmed", order_id=13, version=1)

    deliver_all(Worker(service, LANES))
    assert subjects(postbox) == ["Your order 13 is confirmed"]
    assert rows("SELECT attempts, last_error FROM notifications WHERE id = 2") == [(0, WAITS)]

    work()
    assert subjects(postbox)[1:] == ["Your order 12 is confirmed", "Your order 12 is on its way"]


def test_a_letter_that_was_taken_is_not_sent_again_though_its_task_comes_twice(
    user_event, notifications, work, postbox, rows
):
    user_event("user.registered")
    rows("CREATE TABLE kept AS SELECT lane, subject, message, request_id FROM outbox")
    work()

    rows("INSERT INTO outbox (lane, subject, message, request_id) SELECT * FROM kept")
    rows("DROP TABLE kept")
    work()

    assert len(postbox.envelopes) == 1
    assert [entry["attempts"] for entry in notifications()] == [1]
    assert rows("SELECT count(*) FROM outbox") == [(0,)]


def test_a_letter_that_was_taken_is_not_sent_again_while_that_cannot_be_written_down(
    user_event, notifications, work, postbox, rows
):
    user_event("user.registered")
    rows(
        """
        CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE disk_full; END $$;
        CREATE TRIGGER no_space BEFORE UPDATE ON notifications EXECUTE FUNCTION no_space()
        """
    )
    for _ in range(3):
        work()

    rows("DROP FUNCTION no_space CASCADE")
    work()

    assert len(postbox.envelopes) == 1
    assert [(entry["status"], entry["attempts"]) for entry in notifications()] == [("sent", 1)]
    assert rows("SELECT count(*) FROM outbox") == [(0,)]


def test_the_same_letter_sent_twice_is_the_same_to_the_byte(user_event, work, postbox, rows):
    user_event("user.registered", full_name="Zoë")
    rows("CREATE TABLE kept AS SELECT lane, subject, message, request_id FROM outbox")
    work()

    rows("UPDATE notifications SET status = 'queued'")  # the process died before it wrote it down
    rows("INSERT INTO outbox (lane, subject, message, request_id) SELECT * FROM kept")
    rows("DROP TABLE kept")
    work()

    first, second = postbox.envelopes
    assert first.content == second.content


def test_without_a_mail_server_mail_waits_and_says_why(user_event, notifications, work, service):
    use(service, smtp_url="")
    user_event("user.registered")

    work()

    (found,) = notifications()
    assert found["status"] == "queued"
    assert "SMTP_URL" in found["last_error"]


def test_into_a_folder_a_letter_is_one_complete_file(
    user_event, order_event, notifications, work, service, tmp_path
):
    folder = tmp_path / "a folder" / "mail"
    use(service, smtp_url=folder.as_uri())
    user_event("user.registered", full_name="Zoë")
    order_event("order.confirmed")

    work()

    assert [entry["status"] for entry in notifications()] == ["sent", "sent"]
    welcome, order = sorted(folder.iterdir())
    assert [welcome.name, order.name] == ["1-user.registered.eml", "2-order.confirmed.eml"]
    read = message_from_bytes(welcome.read_bytes(), policy=default)
    assert (read["To"], read["Subject"]) == ("ada@example.com", "Welcome to Quartet")
    assert "Dear Zoë," in read.get_content()
    assert read.defects == []


def test_a_folder_that_cannot_be_written_is_tried_again(
    user_event, notifications, work, service, tmp_path
):
    (tmp_path / "mail").write_text("a file stands where the folder should be")
    use(service, smtp_url=(tmp_path / "mail").as_uri())
    user_event("user.registered")

    work()

    (found,) = notifications()
    assert found["status"] == "queued"
    assert found["last_error"].startswith("no file could be written")


def test_a_file_has_its_name_only_when_it_is_complete(
    user_event, notifications, work, service, tmp_path
):
    use(service, smtp_url=tmp_path.as_uri())
    (tmp_path / "1-user.registered.eml").mkdir()  # so that the last step fails
    user_event("user.registered")

    work()

    assert [entry["status"] for entry in notifications()] == ["queued"]
    assert [file for file in tmp_path.glob("*.eml") if file.is_file()] == []


def test_neither_name_nor_address_is_logged(user_event, work, postbox, caplog):
    caplog.set_level("DEBUG", logger="chassis")
    caplog.set_level("DEBUG", logger="microservice4")
    postbox.refusal = "451 4.3.0 <ada@example.com> Try again later"
    user_event("user.registered")

    work()

    logged = str([record.__dict__ for record in caplog.records])
    assert "Try again later" in logged
    assert "ada@example.com" not in logged
    assert "Lovelace" not in logged


def test_two_workers_send_each_letter_once(user_event, service, postbox, notifications):
    for user_id in range(100, 130):
        user_event("user.registered", user_id, email=f"user{user_id}@example.com")

    def empty():
        deliver_all(Worker(service, LANES))

    workers = [threading.Thread(target=empty) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert {entry["status"] for entry in notifications()} == {"sent"}
    assert len({mail.rcpt_tos[0] for mail in postbox.envelopes}) == 30
    assert len(postbox.envelopes) == 30
