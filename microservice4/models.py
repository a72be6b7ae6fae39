"""The rows that all layers speak of."""

from dataclasses import dataclass, field
from datetime import datetime

from chassis.mailboxes import identity

CONFIRMATION = "user.confirmation_requested"
PASSWORD_RESET = "user.password_reset_requested"
# E-mails about an address go there, whatever address the user has by then.
ABOUT_AN_ADDRESS = (
    CONFIRMATION,
    PASSWORD_RESET,
    "user.email_change_requested",
)
EMAILED = (
    "user.registered",
    "user.promoted",
    *ABOUT_AN_ADDRESS,
    "order.confirmed",
    "order.shipped",
    "order.delivered",
    "order.cancelled",
)
STATUSES = ("queued", "sent", "failed", "suppressed")


@dataclass(frozen=True, slots=True)
class Contact:
    """What is known of a user: nothing yet, name and address, or that they have left.

    email_confirmed: whether the user is known to read e-mails to that address.
    """

    user_id: int
    username: str | None
    email: str | None
    email_confirmed: bool
    full_name: str | None
    version: int
    deleted: bool

    @property
    def is_known(self):
        return self.email is not None

    def is_at(self, email):
        """Whether that is the contact's mailbox, in any spelling."""
        return identity(self.email) == identity(email)


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many notifications wait for something, counted up to a limit, and the oldest's wait."""

    count: int
    oldest_seconds: int


@dataclass(frozen=True, slots=True)
class News:
    """What an event tells a user. facts: its data as JSON text, to render the e-mail from.

    recipient, unconfirmed: where an e-mail about an address goes, else None and False. code: what
    the e-mail takes there, which is no part of the facts, or None.
    """

    user_id: int
    order_id: int | None
    order_version: int | None
    event_id: str
    event_type: str
    facts: str
    request_id: str
    recipient: str | None = None
    unconfirmed: bool = False
    code: str | None = None
    code_expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of news, as far as it is known: an e-mail to send, or the reason for none.

    Queued without a recipient means that the contact is still to be told. unconfirmed: whether
    the recipient is. code: what the e-mail takes there, until it is sent or given up.
    """

    status: str
    last_error: str | None = None
    recipient: str | None = None
    unconfirmed: bool = False
    code: str | None = None
    subject: str | None = None
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """News as it is kept, with what became of it.

    body: without the code, which has a place there. code: None as soon as nobody needs it.
    retry_at: when an e-mail is tried again that was put off. deferred_since: when it first was.
    """

    id: int
    user_id: int
    order_id: int | None
    order_version: int | None
    event_id: str
    event_type: str
    facts: str
    request_id: str
    recipient: str | None
    unconfirmed: bool
    code: str | None = field(repr=False)
    code_expires_at: datetime | None
    subject: str | None
    body: str | None
    status: str
    attempts: int
    last_error: str | None
    retry_at: datetime | None
    deferred_since: datetime | None
    created_at: datetime
    sent_at: datetime | None

    @property
    def is_ready(self):
        """Whether its e-mail can be sent now."""
        return self.status == "queued" and self.recipient is not None and self.retry_at is None

    def expires_before(self, moment):
        """Whether it has a code that is of no use at that moment."""
        return self.code_expires_at is not None and self.code_expires_at <= moment
