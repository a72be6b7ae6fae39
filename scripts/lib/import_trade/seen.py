"""What the services answered, in types that can be compared with the plan. Amounts are Decimal."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class StockEntry:
    reference: str | None
    delta: int


@dataclass(frozen=True, slots=True)
class SeenLine:
    product_id: int
    sku: str | None
    quantity: int
    price: Decimal | None
    line_total: Decimal | None


@dataclass(frozen=True, slots=True)
class SeenOrder:
    """An order that is pending, or was cancelled while it was, has no amounts and no names."""

    id: int
    user_id: int
    reference: str | None
    status: str
    placed_at: datetime
    lines: tuple[SeenLine, ...]
    total: Decimal | None

    @property
    def units(self) -> int:
        return sum(line.quantity for line in self.lines)


@dataclass(frozen=True, slots=True)
class SoldOnDay:
    orders: int
    units: int
    revenue: Decimal


def seen_order(body: dict) -> SeenOrder:
    return SeenOrder(
        id=body["id"],
        user_id=body["user_id"],
        reference=body["reference"],
        status=body["status"],
        placed_at=datetime.fromisoformat(body["placed_at"]),
        lines=tuple(map(seen_line, body["items"])),
        total=amount(body["total"]),
    )


def seen_line(item: dict) -> SeenLine:
    return SeenLine(
        product_id=item["product_id"],
        sku=item["sku"],
        quantity=item["quantity"],
        price=amount(item["unit_price"]),
        line_total=amount(item["line_total"]),
    )


def amount(value: Decimal | int | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def seen_report(body: list[dict]) -> dict[date, SoldOnDay]:
    return {
        date.fromisoformat(row["date"]): SoldOnDay(
            row["orders"], row["units"], Decimal(row["revenue"])
        )
        for row in body
    }
