"""The rows that all layers speak of."""

from dataclasses import dataclass, field
from datetime import datetime

STATUSES = ("Bronze", "Silver", "Gold")  # rising


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
