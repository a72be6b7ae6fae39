"""The rows that all layers speak of."""

from dataclasses import dataclass, field
from datetime import datetime

STATUSES = ("Bronze", "Silver", "Gold")  # rising
REDEMPTION_STATES = ("redeemed", "refunded", "declined")


@dataclass(frozen=True, slots=True)
class User:
    """password_hash: None for an account that cannot log in."""

    id: int
    username: str
    email: str
    full_name: str | None
    password_hash: str | None = field(repr=False)
    role: str
    points: int
    points_balance: int
    status: str
    version: int
    created_at: datetime
    updated_at: datetime


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
    is_current: bool
    is_previous: bool
    seconds_since_rotation: float
