"""An e-mail as it goes over the wire (RFC 5322): the same bytes each time it is composed."""

import re
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from urllib.parse import quote

from microservice4.errors import MailRefused

# Dots between words, letters of any script. The rest of what RFC 5322 allows (quotes, comments,
# brackets) nobody uses in good faith, and Python's own parser of headers stumbles over some of it.
_WORD = r"[\w!#$%&'*+/=?^`{|}~-]+"
_ADDRESS = re.compile(rf"{_WORD}(\.{_WORD})*@[\w-]+(\.[\w-]+)*")

# A request id as Nginx makes it. A client may choose another one, and a stranger may choose words.
_MADE_ID = re.compile(r"[0-9a-f]{32}")


def compose(notification, sender):
    """Return the e-mail. Raises MailRefused for an address that cannot be written to.

    sender: `Shop <shop@example.com>`. `Message-ID` comes from the event, so that a mail server or
    a reader recognises a repeat.
    """
    encoded = "=?" in notification.recipient  # RFC 2047: Python would decode it into something else
    if encoded or not _ADDRESS.fullmatch(notification.recipient):
        raise MailRefused("this is no address that can be written to")
    policy = SMTP if notification.recipient.isascii() else SMTPUTF8  # RFC 6532
    message = EmailMessage(policy.clone(cte_type="7bit"))
    message["From"] = sender
    message["To"] = notification.recipient
    message["Subject"] = notification.subject
    message["Date"] = notification.created_at
    message["Message-ID"] = f"<{quote(notification.event_id, safe='')}@{domain_of(message)}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday replies, please
    if not notification.unconfirmed or _MADE_ID.fullmatch(notification.request_id):
        message["X-Request-ID"] = notification.request_id
    message.set_content(notification.body)
    return message


def envelope(message):
    """Return the bare addresses of sender and recipient."""
    return tuple(message[name].addresses[0].addr_spec for name in ("From", "To"))


def domain_of(message):
    """Return the sender's domain."""
    return message["From"].addresses[0].domain
