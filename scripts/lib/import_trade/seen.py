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
    sku: str
    quantity: int
    price: Decimal
    line_total: Decimal


@dataclass(frozen=True, slots=True)
class SeenOrder:
    id: int
    user_id: int
    reference: str | None
    status: str
    placed_at: datetime
    lines: tuple[SeenLine, ...]
    total: Decimal

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
        total=Decimal(body["total"]),
    )


def seen_line(item: dict) -> SeenLine:
    return SeenLine(
        product_id=item["product_id"],
        sku=item["sku"],
        quantity=item["quantity"],
        price=Decimal(item["unit_price"]),
        line_total=Decimal(item["line_total"]),
    )


def seen_report(body: list[dict]) -> dict[date, SoldOnDay]:
    return {
        date.fromisoformat(row["date"]): SoldOnDay(
            row["orders"], row["units"], Decimal(row["revenue"])
        )
        for row in body
    }
