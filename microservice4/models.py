"""The rows that all layers speak of."""

from dataclasses import dataclass
from datetime import datetime

EMAILED = (
    "user.registered",
    "user.promoted",
    "order.confirmed",
    "order.shipped",
    "order.delivered",
    "order.cancelled",
)
STATUSES = ("queued", "sent", "failed", "suppressed")


@dataclass(frozen=True, slots=True)
class Contact:
    """What is known of a user: nothing yet, name and address, or that they have left."""

    user_id: int
    username: str | None
    email: str | None
    full_name: str | None
    version: int
    deleted: bool

    @property
    def is_known(self):
        return self.email is not None


@dataclass(frozen=True, slots=True)
class News:
    """What an event tells a user. facts: its data as JSON text, to render the e-mail from."""

    user_id: int
    order_id: int | None
    order_version: int | None
    event_id: str
    event_type: str
    facts: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of news, as far as it is known: an e-mail to send, or the reason for none.

    Queued without a recipient means that the contact is still to be told.
    """

    status: str
    last_error: str | None = None
    recipient: str | None = None
    subject: str | None = None
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """News as it is kept, with what became of it."""

    id: int
    user_id: int
    order_id: int | None
    order_version: int | None
    event_id: str
    event_type: str
    facts: str
    request_id: str
    recipient: str | None
    subject: str | None
    body: str | None
    status: str
    attempts: int
    last_error: str | None
    created_at: datetime
    sent_at: datetime | None
