import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chassis.mailboxes import as_entered, canonical, sendable
from microservice4.clients.composing import compose, envelope
from microservice4.errors import MailRefused

HEADERS = {
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "X-Request-ID",
    "Content-Type",
    "Content-Transfer-Encoding",
    "MIME-Version",
}

# Mostly of what addresses are made of, with a domain that can be one: half of them are accepted.
letters = st.characters(categories=["L", "M", "N", "P", "S", "Zs", "Cf"]) | st.sampled_from(
    "aZ9.-_+=?"
)
addresses = st.builds(
    "{}@{}".format,
    st.text(letters, min_size=1, max_size=12),
    st.sampled_from(["example.com", "bücher.example", "B.example", "localhost", "उदाहरण.भारत"])
    | st.text(letters, min_size=1, max_size=8).map("{}.example".format),
)
storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


def lines_of(body):
    return [line for line in re.split(r"\r\n|\r|\n", body) if line]


def composed(sender="Quartet <shop@quartet.example>", **fields):
    return compose(
        SimpleNamespace(
            **{
                "recipient": "ada@example.com",
                "subject": "Welcome",
                "body": "Dear Ada,\n",
                "event_id": "0b7a3c0e",
                "request_id": "req-1",
                "unconfirmed": False,
                "created_at": datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
                **fields,
            }
        ),
        sender,
    )


def read(message):
    return message_from_bytes(message.as_bytes(), policy=default)


@given(storable)
@example("ada@example.com\r\nBcc: eve@example.com")
@example("ada@example.com\r\n\r\nIt is not what it was")
@example("eve@example.com, ada@example.com")
@example("Eve <eve@example.com>")
@example('"@example.com')
@example("ada@example.com\n")
@example("[@[")
@example("a@\x85b")
def test_no_address_adds_a_header_or_a_recipient(address):
    try:
        message = composed(recipient=address)
    except MailRefused:
        return

    assert set(read(message).keys()) == HEADERS
    assert len(message["To"].addresses) == 1
    assert read(message).get_content() == "Dear Ada,\n"
    assert envelope(message) == ("shop@quartet.example", sendable(address))


@given(addresses)
@example("info@bücher.example")
@example("राम@उदाहरण.भारत")
@example("a@localhost")
def test_what_registration_accepts_can_be_sent_to(address):
    try:
        kept = as_entered(address)
    except ValueError:
        return

    message = composed(recipient=kept)

    assert envelope(message)[1] == sendable(kept)
    assert f"To: {sendable(kept)}\r\n".encode() in message.as_bytes()
    assert canonical(envelope(message)[1]) == canonical(address)
    assert message.as_bytes().isascii() == sendable(kept).isascii()


@given(storable.filter(bool))
@example("0b7a3c0e>\r\nBcc: eve@example.com")
def test_no_event_id_adds_a_header(event_id):
    message = read(composed(event_id=event_id))

    assert set(message.keys()) == HEADERS
    assert message["Message-ID"].endswith("@quartet.example>")


def test_different_events_have_different_message_ids():
    ids = {composed(event_id=event_id)["Message-ID"] for event_id in ("a b", "a%20b", "a_b", "A b")}

    assert len(ids) == 4


@given(storable)
def test_any_body_goes_out_in_ascii_and_comes_out_as_it_was(body):
    message = composed(body=body)

    assert message.as_bytes().isascii()
    assert all(len(line) <= 998 for line in message.as_bytes().split(b"\r\n"))
    assert lines_of(read(message).get_content()) == lines_of(body)


@given(storable.map(lambda subject: " ".join(subject.split())))
def test_no_subject_adds_a_header(subject):
    assert set(read(composed(subject=subject)).keys()) == HEADERS


def test_a_letter_bears_the_time_of_its_notification():
    written = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)

    assert read(composed(created_at=written))["Date"].datetime == written


def test_a_letter_is_the_same_each_time():
    assert (
        composed(body="Dear Zoë,\n" * 50).as_bytes() == composed(body="Dear Zoë,\n" * 50).as_bytes()
    )


@pytest.mark.parametrize(
    ("address", "sent"),
    [
        ("ada@example.com", "ada@example.com"),
        ("zoë@bücher.example", "zoë@xn--bcher-kva.example"),
        ("a.b+c@x-y.example", "a.b+c@x-y.example"),
    ],
)
def test_the_letter_goes_where_it_says(address, sent):
    message = composed(recipient=address)

    assert envelope(message)[1] == sent
    assert f"To: {sent}\r\n".encode() in message.as_bytes()


def test_a_sender_s_domain_is_in_ascii():
    message = composed(sender="Zoë <Shop@Bücher.example>")

    assert envelope(message)[0] == "Shop@xn--bcher-kva.example"
    assert message.as_bytes().isascii()
    assert read(message)["From"].addresses[0].display_name == "Zoë"


@pytest.mark.parametrize(
    "address",
    [
        "=?utf-8?q?a=0ab?=@example.com",
        "=?utf-8?q??=@example.com",
        "=?utf-8?q?victim=40evil.com=3e?=@example.com",
    ],
)
def test_an_address_that_would_be_decoded_into_another_is_refused(address):
    with pytest.raises(MailRefused):
        composed(recipient=address)


def test_an_unconfirmed_address_gets_no_request_id_in_which_a_stranger_can_write():
    message = composed(unconfirmed=True, request_id="Visit-evil.example")

    assert "X-Request-ID" not in message
    assert "evil.example" not in message.as_string()


def test_an_unconfirmed_address_gets_a_request_id_of_our_making():
    made = "75ba69860837f9ba703b7ce4d8e55f6d"

    assert composed(unconfirmed=True, request_id=made)["X-Request-ID"] == made
