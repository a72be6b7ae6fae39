import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.mailboxes import canonical, identity, sendable

MAILBOX = "info@xn--bcher-kva.example"
refused = pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@@example.com",
        "ada@example..com",
        "ada@.example.com",
        "ada@example.com.",
        "ada@-example.com",
        "ada@exa_mple.com",
        "ada@1.2.3.4",
        "ada@[1.2.3.4]",
        "ada@i❤.example",
        "ada@ｅxample.com",
        "ada@" + "ü" * 60 + ".example",
        "ada@" + "a" * 64 + ".example",
        "ada@" + ".".join(["a" * 62] * 4),
        ".ada@example.com",
        "a..da@example.com",
        '"a da"@example.com',
        "a da@example.com",
        "a\u00a0da@example.com",
        "ada@example.com\u200b",
        "ada@example.com\r\nBcc: eve@example.com",
        "Ada <ada@example.com>",
        "ada(work)@example.com",
        "=?utf-8?q?eve?=@example.com",
        "\u0301ada@example.com",
        "a" * 65 + "@example.com",
        "é" * 33 + "@example.com",
        "a" * 64 + "@" + ".".join(["b" * 61] * 3) + ".example",
    ],
)


@pytest.mark.parametrize("spelling", ["info@bücher.example", MAILBOX, "info@bu\u0308cher.example"])
def test_a_domain_is_sent_in_ascii(spelling):
    assert sendable(spelling) == MAILBOX


def test_a_local_part_is_sent_as_it_was_given():
    assert sendable("Zoë.O'Neil+shop@Bücher.Example") == "Zoë.O'Neil+shop@xn--bcher-kva.example"


@pytest.mark.parametrize(
    "spelling",
    ["INFO@BÜCHER.EXAMPLE", "info@XN--BCHER-KVA.example", "Info@Bu\u0308cher.example", MAILBOX],
)
def test_all_spellings_of_a_mailbox_are_one(spelling):
    assert canonical(spelling) == MAILBOX


def test_sharp_s_is_a_letter_of_its_own_in_a_domain():
    assert canonical("a@faß.example") == "a@xn--fa-hia.example" != canonical("a@fass.example")


@pytest.mark.parametrize(
    "address", ["a@r3---b.example", "राम@उदाहरण.भारत", "a@localhost", "_-@b.example"]
)
def test_what_a_mail_server_takes_is_taken(address):
    assert sendable(sendable(address)) == sendable(address)


@refused
@pytest.mark.parametrize("function", [sendable, canonical])
def test_what_cannot_be_written_to_is_refused_with_a_reason(function, address):
    with pytest.raises(ValueError, match="^must "):
        function(address)


@refused
def test_an_address_from_before_the_rules_still_has_an_identity(address):
    assert identity(address) == identity(address.swapcase())


@given(st.emails())
def test_plain_addresses_are_sent_as_they_are(address):
    local, _, domain = address.rpartition("@")
    try:
        assert sendable(address) == f"{local}@{domain.lower()}"
        assert canonical(address) == address.lower() == identity(address)
    except ValueError as refusal:
        assert len(local) > 64 or "=?" in local, refusal
