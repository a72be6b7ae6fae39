"""The rows that all layers speak of."""

from dataclasses import dataclass, field
from datetime import datetime

STATUSES = ("Bronze", "Silver", "Gold")  # rising
USERNAME = "[A-Za-z0-9_][A-Za-z0-9._-]*"
REDEMPTION_STATES = ("redeemed", "refunded", "declined")


@dataclass(frozen=True, slots=True)
class User:
    """An account.

    email_confirmed: whether a letter to the address is known to reach the holder. pending_email:
    the address that replaces `email` once it is confirmed, or None. password_hash: None for an
    account that cannot log in. token_epoch: how often all tokens and sessions of the user were
    ended.
    """

    id: int
    username: str
    email: str
    email_confirmed: bool
    pending_email: str | None
    full_name: str | None
    password_hash: str | None = field(repr=False)
    role: str
    token_epoch: int
    points: int
    points_balance: int
    status: str
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def email_to_confirm(self):
        """The address that a confirmation would prove, or None if nothing is to be confirmed."""
        return self.pending_email or (None if self.email_confirmed else self.email)


@dataclass(frozen=True, slots=True)
class DeletedUser:
    version: int
    deleted_at: datetime


@dataclass(frozen=True, slots=True)
class Redemption:
    """user_id and points: None for one that was given up before it was asked for.

    balance: what the user had to spend when it was declined, else None.
    """

    order_id: int
    state: str
    user_id: int | None
    points: int | None
    balance: int | None


@dataclass(frozen=True, slots=True)
class Session:
    """A session as the refresh token that was presented finds it, its row locked.

    is_current: it is one of those issued last. is_previous: one of those that they replaced.
    """

    id: int
    user_id: int
    epoch: int
    is_current: bool
    is_previous: bool
    seconds_since_rotation: float


@dataclass(frozen=True, slots=True)
class Revocation:
    """Tokens of the user that were issued before this epoch are void."""

    user_id: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Guesses:
    """Failures in a row. tried_at: the last failure, or the last try that was let through."""

    failures: int
    tried_at: datetime
    seconds_since: float


@dataclass(frozen=True, slots=True)
class FailedSignIns:
    """How often signing in to an administrator's account failed, from one address in one hour."""

    user_id: int
    address: str
    failures: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Code:
    """A single-use code that is still valid; the code itself is not stored.

    email: the mailbox that it was sent to, as chassis.mailboxes.identity names it.
    """

    user_id: int
    purpose: str
    email: str
    expires_at: datetime
