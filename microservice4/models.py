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
class Notification:
    """facts: the event's data as JSON text, from which the e-mail is rendered."""

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
