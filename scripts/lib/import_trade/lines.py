"""One line of the file: what it has to say, and the checks that let it in or name its fault."""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)

# The bounds of the API that an imported line has to keep
LONGEST_REFERENCE = 100
LONGEST_SKU = 64
LONGEST_NAME = 200
LONGEST_USERNAME = 64
LARGEST_QUANTITY = 1_000_000
LARGEST_AMOUNT = Decimal("9999999999.99")
SMALLEST_COIN = Decimal("0.01")

WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")
DECIMAL_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?")
# Spreadsheets write a number column with gaps as decimals: 17850.0 is customer 17850
NUMBER_OF_A_SPREADSHEET = re.compile(r"([0-9]+)\.0+")
# What is both a user name and the local part of an e-mail address
CUSTOMER = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


class Malformed(Exception):
    """The line does not say what it should."""


class NoTrade(Exception):
    """The line is well formed, but neither a sale nor a return."""


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    invoice: str
    position: int
    """From 1 among the invoice's lines in the file, the rejected ones included, so that mending a
    rejected line renumbers no other."""
    sku: str
    description: str
    quantity: int
    at: datetime
    price: Decimal
    customer: str | None

    @property
    def is_return(self) -> bool:
        return is_cancellation(self.invoice)

    @property
    def amount(self) -> Decimal:
        return self.quantity * self.price


@dataclass(frozen=True, slots=True)
class Rejection:
    number: int
    reason: str
    text: str
    malformed: bool
    invoice: str | None = None
    sku: str | None = None
    """What the line says of itself, as far as it could be read."""


def read_line(
    number: int, fields: list[str], header: dict[str, int], positions: Counter, now: datetime
) -> Line:
    """Return the line, or raise Malformed or NoTrade with the reason."""
    if len(fields) != len(header):
        raise Malformed(f"{len(fields)} fields where the first line has {len(header)}")

    value = {column: fields[header[column]].strip() for column in COLUMNS}
    positions[value["InvoiceNo"]] += 1
    for column in COLUMNS:
        if "\0" in value[column]:
            raise Malformed(f"{column} contains a NUL character")

    line = Line(
        number=number,
        invoice=text_of(value, "InvoiceNo", LONGEST_REFERENCE),
        position=positions[value["InvoiceNo"]],
        sku=text_of(value, "StockCode", LONGEST_SKU),
        description=text_of(value, "Description", LONGEST_NAME, may_be_empty=True),
        quantity=read_quantity(value["Quantity"]),
        at=read_time(value["InvoiceDate"], now),
        price=read_price(value["UnitPrice"]),
        customer=read_customer(value["CustomerID"]),
    )
    check_reference(line)
    check_trade(line)
    return line


def text_of(value: dict[str, str], column: str, longest: int, *, may_be_empty=False) -> str:
    text = value[column]
    if not text and not may_be_empty:
        raise Malformed(f"{column} is empty")
    if len(text) > longest:
        raise Malformed(f"{column} has {len(text)} characters, at most {longest} are taken")
    return text


def read_quantity(text: str) -> int:
    if not WHOLE_NUMBER.fullmatch(text):
        raise Malformed(f"Quantity is no whole number: {shown(text)}")
    quantity = int(text)
    if abs(quantity) > LARGEST_QUANTITY:
        raise Malformed(f"Quantity is beyond {LARGEST_QUANTITY:,}: {text}")
    return quantity


def read_time(text: str, now: datetime) -> datetime:
    if not TIME.fullmatch(text):
        raise Malformed(f"InvoiceDate is not written YYYY-MM-DD HH:MM:SS: {shown(text)}")
    try:
        at = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise Malformed(f"InvoiceDate is no moment of the calendar: {text}") from error
    if at > now:
        raise Malformed(f"InvoiceDate lies in the future: {text}")
    return at


def read_price(text: str) -> Decimal:
    if not DECIMAL_NUMBER.fullmatch(text):
        raise Malformed(f"UnitPrice is no decimal number: {shown(text)}")
    price = Decimal(text)
    if abs(price) > LARGEST_AMOUNT:
        raise Malformed(f"UnitPrice is beyond {LARGEST_AMOUNT:,}: {shown(text)}")
    if price != price.quantize(SMALLEST_COIN):
        raise Malformed(f"UnitPrice has more than two decimals: {shown(text)}")
    return price.quantize(SMALLEST_COIN)


def read_customer(text: str) -> str | None:
    if not text:
        return None
    number = NUMBER_OF_A_SPREADSHEET.fullmatch(text)
    customer = number[1] if number else text
    if len(customer) > LONGEST_USERNAME or not CUSTOMER.fullmatch(customer):
        raise Malformed(f"CustomerID cannot be a user name: {shown(text)}")
    return customer


def check_reference(line: Line) -> None:
    if line.is_return and len(return_reference(line)) > LONGEST_REFERENCE:
        raise Malformed(
            f"InvoiceNo and line make a reference of more than {LONGEST_REFERENCE} characters"
        )


def check_trade(line: Line) -> None:
    """Raise NoTrade unless the line is a sale on an invoice or a return on a cancellation."""
    if line.quantity == 0:
        raise NoTrade("the quantity is zero")
    if line.price == 0:
        raise NoTrade("the price is zero")
    if line.price < 0:
        raise NoTrade("the price is negative")
    if line.is_return and line.quantity > 0:
        raise NoTrade("the quantity is positive on a cancellation")
    if not line.is_return and line.quantity < 0:
        raise NoTrade("the quantity is negative on an invoice that is no cancellation")
    if abs(line.amount) > LARGEST_AMOUNT:
        raise Malformed(f"the line's amount is beyond {LARGEST_AMOUNT:,}")


def is_cancellation(invoice: str) -> bool:
    return invoice.startswith("C")


def return_reference(line: Line) -> str:
    return f"{line.invoice}:{line.position}"


def shown(text: str) -> str:
    """Return the text as a reason quotes it: short, and with nothing that a terminal obeys."""
    return repr(text if len(text) <= 40 else text[:37] + "...")
