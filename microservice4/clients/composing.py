"""An e-mail as it goes over the wire (RFC 5322): the same bytes each time it is composed."""

from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from urllib.parse import quote

from microservice4.errors import MailRefused


def compose(notification, sender):
    """Return the e-mail. Raises MailRefused for an address that no e-mail can bear.

    sender: `Shop <shop@example.com>`. `Message-ID` comes from the event, so that a mail server or
    a reader recognises a repeat.
    """
    policy = SMTP if notification.recipient.isascii() else SMTPUTF8  # RFC 6532
    message = EmailMessage(policy.clone(cte_type="7bit"))
    try:
        message["From"] = sender
        message["To"] = _one_address(notification.recipient)
        message["Subject"] = notification.subject
        message["Date"] = notification.created_at
        message["Message-ID"] = f"<{quote(notification.event_id, safe='')}@{domain_of(message)}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday replies, please
        message["X-Request-ID"] = notification.request_id
        message.set_content(notification.body)
        message.as_bytes()  # some addresses are found impossible only here
    except (ValueError, IndexError, MessageError):
        raise MailRefused("no e-mail can bear this address") from None
    return message


def envelope(message):
    """Return the bare addresses of sender and recipient."""
    return tuple(message[name].addresses[0].addr_spec for name in ("From", "To"))


def domain_of(message):
    """Return the sender's domain."""
    return message["From"].addresses[0].domain


def _one_address(email):
    """One address, whatever is in it: a comma does not make it two."""
    name, _, domain = email.rpartition("@")
    if not name or not domain:
        raise ValueError("an address has a name and a domain")
    return Address(username=name, domain=domain)
