"""The rows that all layers speak of, and the way of an order."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

# How a client sees a state; what it does not see is not there (a refused order).
STATUS_OF = {
    "pending": "pending",
    "reserved": "pending",
    "confirmed": "confirmed",
    "shipped": "shipped",
    "delivered": "delivered",
    "refunding": "cancelling",
    "releasing": "cancelling",
    "cancelled": "cancelled",
}
STATUSES = tuple(dict.fromkeys(STATUS_OF.values()))


@dataclass(frozen=True, slots=True)
class Order:
    id: int
    user_id: int
    state: str
    shown: bool
    reason: str | None
    refusal: dict | None
    requested: list
    reference: str | None
    subtotal: Decimal | None
    discount: Decimal
    total: Decimal | None
    currency: str
    redeem_points: int
    version: int
    placed_at: datetime
    created_at: datetime
    updated_at: datetime

    @property
    def status(self):
        return STATUS_OF[self.state]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an order. Until Products has held it, what it says of it is not known: None."""

    product_id: int
    sku: str | None
    name: str | None
    quantity: int
    unit_price: Decimal | None
    line_total: Decimal | None


@dataclass(frozen=True, slots=True)
class Change:
    at: datetime
    from_status: str | None
    to_status: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class DayOfSales:
    date: date
    orders: int
    units: int
    revenue: Decimal
