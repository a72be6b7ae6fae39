"""From lines to what the services shall hold: users, products, orders, returns. Pure functions.

An invoice is one order of one customer at one moment. Its first accepted line says whose and
when: a later line with another customer is rejected, since booking it on somebody else's account
would be wrong; a later line with another time is kept (real invoices do span a minute).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from chassis.text import as_name
from import_trade.lines import (
    LARGEST_AMOUNT,
    LONGEST_REFERENCE,
    Line,
    Rejection,
    is_cancellation,
    rejected,
    return_reference,
)
from import_trade.reading import TradeFile
from import_trade.records import Refused

WALK_IN = "walk-in"
CATEGORY = "Retail"
MOST_LINES_OF_AN_ORDER = 1_000


@dataclass(frozen=True, slots=True)
class PlannedUser:
    username: str

    @property
    def email(self) -> str:
        """An address that no mail can reach (RFC 2606)."""
        return f"{self.username}@customers.invalid"


@dataclass(frozen=True, slots=True)
class PlannedProduct:
    sku: str
    name: str
    price: Decimal
    opening: int
    """Units that the file sells; with none there is no opening entry."""


@dataclass(frozen=True, slots=True)
class PlannedLine:
    sku: str
    quantity: int
    price: Decimal

    @property
    def amount(self) -> Decimal:
        return self.quantity * self.price


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    invoice: str
    username: str
    placed_at: datetime
    lines: tuple[PlannedLine, ...]

    @property
    def units(self) -> int:
        return sum(line.quantity for line in self.lines)

    @property
    def total(self) -> Decimal:
        return sum((line.amount for line in self.lines), Decimal("0.00"))


@dataclass(frozen=True, slots=True)
class PlannedReturn:
    reference: str
    invoice: str
    sku: str
    units: int


@dataclass(frozen=True, slots=True)
class Plan:
    opening_reference: str
    users: tuple[PlannedUser, ...]
    products: tuple[PlannedProduct, ...]
    orders: tuple[PlannedOrder, ...]
    returns: tuple[PlannedReturn, ...]
    rejections: tuple[Rejection, ...]

    @property
    def invoices_without_order(self) -> int:
        """How many invoices stand on rejected lines alone."""
        rejected = {one.invoice for one in self.rejections if one.invoice}
        sales = {invoice for invoice in rejected if not is_cancellation(invoice)}
        return len(sales - {order.invoice for order in self.orders})


def make_plan(trade: TradeFile) -> Plan:
    """Return what the services shall hold once the file is imported."""
    sales = [line for line in trade.lines if not line.is_return]
    returned = [line for line in trade.lines if line.is_return]
    sales, rejections = keep_invoices_that_can_be_orders(sales)

    accepted = sorted(sales + returned, key=lambda line: line.number)
    return Plan(
        opening_reference=opening_reference(trade.name),
        users=plan_users(accepted),
        products=plan_products(accepted, trade.rejections),
        orders=plan_orders(sales, spellings(accepted)),
        returns=plan_returns(returned),
        rejections=tuple(sorted([*trade.rejections, *rejections], key=lambda one: one.number)),
    )


def opening_reference(file_name: str) -> str:
    reference = f"opening:{file_name}"
    try:
        reference = as_name(reference)
    except ValueError:
        reference = ""
    if not reference or len(reference) > LONGEST_REFERENCE:
        raise Refused(
            f"{file_name!r}: the file's name goes into the reference of the opening stock, "
            f"which takes {LONGEST_REFERENCE} printable characters; give it a shorter, plain name"
        )
    return reference


def by_invoice(lines: list[Line]) -> dict[str, list[Line]]:
    """Group the lines, invoices in the order of their first line."""
    invoices = defaultdict(list)
    for line in lines:
        invoices[line.invoice].append(line)
    return invoices


def keep_invoices_that_can_be_orders(lines: list[Line]) -> tuple[list[Line], list[Rejection]]:
    """Return the lines that can stand in orders, and the rejected others."""
    kept, rejections = [], []
    for invoice in by_invoice(lines).values():
        agreeing, disagreeing = split_by_customer(invoice)
        rejections += disagreeing
        if reason := why_no_order(agreeing):
            rejections += [rejected(line, reason, malformed=True) for line in agreeing]
        else:
            kept += agreeing
    return kept, rejections


def split_by_customer(invoice: list[Line]) -> tuple[list[Line], list[Rejection]]:
    first = invoice[0]
    reason = f"another customer than the invoice's line {first.place}"
    agreeing = [line for line in invoice if account_of(line) == account_of(first)]
    disagreeing = [line for line in invoice if account_of(line) != account_of(first)]
    return agreeing, [rejected(line, reason, malformed=True) for line in disagreeing]


def why_no_order(invoice: list[Line]) -> str | None:
    if len(invoice) > MOST_LINES_OF_AN_ORDER:
        return (
            f"the invoice has {len(invoice):,} lines to sell, "
            f"an order takes at most {MOST_LINES_OF_AN_ORDER:,}"
        )
    if sum(line.amount for line in invoice) > LARGEST_AMOUNT:
        return f"the invoice's total is beyond {LARGEST_AMOUNT:,}"
    return None


def account_of(line: Line) -> str:
    """Return what tells customers apart: the services ignore the case of user names."""
    return (line.customer or WALK_IN).lower()


def spellings(lines: list[Line]) -> dict[str, str]:
    """Return the user name of each account, as the file spells it first, in the file's order."""
    names = {}
    for line in lines:
        names.setdefault(account_of(line), line.customer or WALK_IN)
    return names


def plan_users(lines: list[Line]) -> tuple[PlannedUser, ...]:
    """Return each customer once, in the order of the file."""
    return tuple(map(PlannedUser, spellings(lines).values()))


def plan_products(lines: list[Line], rejections: Iterable[Rejection]) -> tuple[PlannedProduct, ...]:
    """Return each stock code of the file once.

    Only accepted lines speak: a price of zero or a note on a stock correction does not become a
    product's price or name. A code that stands on lines without trade alone is a product all the
    same, called by its code and priced at zero: there is none of it to be bought.
    """
    names, prices, sold = {}, {}, Counter()
    for line in lines:
        prices.setdefault(line.sku, line.price)
        if line.description:
            names.setdefault(line.sku, line.description)
        if not line.is_return:
            sold[line.sku] += line.quantity
    for rejection in rejections:
        if rejection.sku and not rejection.malformed:
            prices.setdefault(rejection.sku, Decimal("0.00"))
    return tuple(
        PlannedProduct(sku, names.get(sku, sku), price, sold[sku]) for sku, price in prices.items()
    )


def plan_orders(lines: list[Line], names: dict[str, str]) -> tuple[PlannedOrder, ...]:
    return tuple(
        PlannedOrder(
            invoice=number,
            username=names[account_of(invoice[0])],
            placed_at=invoice[0].at,
            lines=tuple(PlannedLine(line.sku, line.quantity, line.price) for line in invoice),
        )
        for number, invoice in by_invoice(lines).items()
    )


def plan_returns(lines: list[Line]) -> tuple[PlannedReturn, ...]:
    return tuple(
        PlannedReturn(return_reference(line), line.invoice, line.sku, -line.quantity)
        for line in lines
    )
