"""An e-mail as it goes over the wire (RFC 5322): the same bytes each time it is composed."""

import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import parseaddr
from urllib.parse import quote

from chassis.mailboxes import sendable
from microservice4.errors import MailRefused

# A request id as Nginx makes it. A client may choose another one, and a stranger may choose words.
_MADE_ID = re.compile(r"[0-9a-f]{32}")


def compose(notification, sender):
    """Return the e-mail. Raises MailRefused for an address that cannot be written to.

    sender: `Shop <shop@example.com>`. `Message-ID` comes from the event, so that a mail server or
    a reader recognises a repeat. Domains are in ASCII, in both addresses.
    """
    recipient = _recipient_of(notification)
    policy = SMTP if recipient.isascii() else SMTPUTF8  # RFC 6532: for its local part alone
    message = EmailMessage(policy.clone(cte_type="7bit"))
    name, address = parseaddr(sender)
    message["From"] = Address(name, addr_spec=sendable(address))
    message["To"] = recipient
    message["Subject"] = notification.subject
    message["Date"] = notification.created_at
    message["Message-ID"] = f"<{quote(notification.event_id, safe='')}@{domain_of(message)}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday replies, please
    if not notification.unconfirmed or _MADE_ID.fullmatch(notification.request_id):
        message["X-Request-ID"] = notification.request_id
    message.set_content(notification.body)
    return message


def _recipient_of(notification):
    try:
        return sendable(notification.recipient)
    except ValueError as refusal:
        raise MailRefused(f"this address cannot be written to: it {refusal}") from None


def envelope(message):
    """Return the bare addresses of sender and recipient."""
    return tuple(message[name].addresses[0].addr_spec for name in ("From", "To"))


def domain_of(message):
    """Return the sender's domain."""
    return message["From"].addresses[0].domain
