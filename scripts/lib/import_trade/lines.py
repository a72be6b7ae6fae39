"""One line of the file: what it has to say, and the checks that let it in or name its fault."""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from chassis.text import as_name
from import_trade.form import COLUMNS, Form, Header
from import_trade.records import Record

# The bounds of the API that an imported line has to keep
LONGEST_REFERENCE = 100
LONGEST_SKU = 64
LONGEST_NAME = 200
LONGEST_USERNAME = 64
LARGEST_QUANTITY = 1_000_000
LARGEST_AMOUNT = Decimal("9999999999.99")
SMALLEST_COIN = Decimal("0.01")
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)

WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")
DECIMAL_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?"
)
# Spreadsheets write a number column with gaps as decimals: 17850.0 is customer 17850
NUMBER_OF_A_SPREADSHEET = re.compile(r"([0-9]+)\.0+")
# What is both a user name and the local part of an e-mail address
CUSTOMER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
# What programs write where there is no value. As a customer, it would be one account for strangers.
WORDS = "na n/a n.a. #n/a nan nat null (null) none <na> nil undefined unknown missing - -- ---"
NOTHING = frozenset(WORDS.split())


class Malformed(Exception):
    """The line does not say what it should."""


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    """From 1 through the whole file, the first line included."""
    place: str
    """What messages call the line: its number on its sheet."""
    text: str
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
    place: str
    reason: str
    text: str
    malformed: bool
    invoice: str | None = None
    sku: str | None = None
    """What the line says of itself, as far as it could be read."""


def rejected(line: Line, reason: str, *, malformed: bool) -> Rejection:
    """Reject a line that could be read."""
    return Rejection(line.number, line.place, reason, line.text, malformed, line.invoice, line.sku)


def read_line(
    number: int,
    place: str,
    record: Record,
    header: Header,
    form: Form,
    positions: Counter,
    now: datetime,
) -> Line:
    """Return the line, or raise Malformed with the reason."""
    if len(record.fields) != header.width:
        raise Malformed(f"{len(record.fields)} fields where the first line has {header.width}")

    value = {column: record.fields[header.places[column]].strip() for column in COLUMNS}
    positions[value["InvoiceNo"]] += 1
    line = Line(
        number=number,
        place=place,
        text=record.texts[0],
        invoice=read_invoice(value),
        position=positions[value["InvoiceNo"]],
        sku=text_of(value, "StockCode", LONGEST_SKU),
        description=text_of(value, "Description", LONGEST_NAME, may_be_empty=True),
        quantity=read_quantity(value["Quantity"]),
        at=read_time(value["InvoiceDate"], form.date_format, now),
        price=read_price(value["UnitPrice"], form.decimal),
        customer=read_customer(value["CustomerID"], form.decimal),
    )
    check_bounds(line)
    return line


def text_of(value: dict[str, str], column: str, longest: int, *, may_be_empty=False) -> str:
    text = value[column]
    if not text and may_be_empty:
        return text
    if not text:
        raise Malformed(f"{column} is empty")
    try:
        text = as_name(text)
    except ValueError as error:
        raise Malformed(f"{column} {error}") from error
    if len(text) > longest:
        raise Malformed(f"{column} has {len(text)} characters, at most {longest} are taken")
    refuse_nothing(column, text)
    return text


def refuse_nothing(column: str, text: str) -> None:
    if text.lower() in NOTHING:
        raise Malformed(f"{column} is {text}, a word for no value: leave the field empty instead")


def read_invoice(value: dict[str, str]) -> str:
    invoice = text_of(value, "InvoiceNo", LONGEST_REFERENCE)
    if invoice[0].isalpha() and not is_cancellation(invoice):
        raise Malformed(
            f"InvoiceNo begins with {invoice[0]}: an adjustment, no invoice and no cancellation"
        )
    return invoice


def read_quantity(text: str) -> int:
    if not WHOLE_NUMBER.fullmatch(text):
        raise Malformed(f"Quantity is no whole number: {shown(text)}")
    quantity = int(text)
    if abs(quantity) > LARGEST_QUANTITY:
        raise Malformed(f"Quantity is beyond {LARGEST_QUANTITY:,}: {text}")
    return quantity


def read_time(text: str, date_format: str | None, now: datetime) -> datetime:
    at = parse_time(text, date_format)
    at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    if at > now:
        raise Malformed(f"InvoiceDate lies in the future: {text}")
    if at < EARLIEST:
        raise Malformed(f"InvoiceDate lies before 1970: {text}")
    return at


def parse_time(text: str, date_format: str | None) -> datetime:
    if date_format:
        try:
            return datetime.strptime(text, date_format)
        except ValueError as error:
            raise Malformed(f"InvoiceDate is not written {date_format}: {shown(text)}") from error
    if not TIME.fullmatch(text):
        raise Malformed(f"InvoiceDate is not written YYYY-MM-DD HH:MM:SS: {shown(text)}")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise Malformed(f"InvoiceDate is no moment of the calendar: {text}") from error


def read_price(text: str, decimal: str) -> Decimal:
    number = with_point(text, decimal)
    if not DECIMAL_NUMBER.fullmatch(number):
        raise Malformed(f"UnitPrice is no decimal number: {shown(text)}")
    price = Decimal(number)
    if abs(price) > LARGEST_AMOUNT:
        raise Malformed(f"UnitPrice is beyond {LARGEST_AMOUNT:,}: {shown(text)}")
    if price != price.quantize(SMALLEST_COIN):
        raise Malformed(f"UnitPrice has more than two decimals: {shown(text)}")
    return price.quantize(SMALLEST_COIN)


def with_point(text: str, decimal: str) -> str:
    """Return the number with a point before its decimals. What separates thousands stays, and is
    then no number."""
    return text.translate(str.maketrans({decimal: ".", ".": decimal}))


def read_customer(text: str, decimal: str) -> str | None:
    if not text:
        return None
    refuse_nothing("CustomerID", text)
    number = NUMBER_OF_A_SPREADSHEET.fullmatch(with_point(text, decimal))
    customer = number[1] if number else text
    if len(customer) > LONGEST_USERNAME or not CUSTOMER.fullmatch(customer):
        raise Malformed(f"CustomerID cannot be a user name: {shown(text)}")
    return customer


def check_bounds(line: Line) -> None:
    if line.is_return and len(return_reference(line)) > LONGEST_REFERENCE:
        raise Malformed(
            f"InvoiceNo and line make a reference of more than {LONGEST_REFERENCE} characters"
        )
    if abs(line.amount) > LARGEST_AMOUNT:
        raise Malformed(f"the line's amount is beyond {LARGEST_AMOUNT:,}")


def why_no_trade(line: Line) -> str | None:
    """Return why the line is neither a sale on an invoice nor a return on a cancellation."""
    if line.quantity == 0:
        return "the quantity is zero"
    if line.price == 0:
        return "the price is zero"
    if line.price < 0:
        return "the price is negative"
    if line.is_return and line.quantity > 0:
        return "the quantity is positive on a cancellation"
    if not line.is_return and line.quantity < 0:
        return "the quantity is negative on an invoice that is no cancellation"
    return None


def is_cancellation(invoice: str) -> bool:
    return invoice.startswith("C")


def return_reference(line: Line) -> str:
    return f"{line.invoice}:{line.position}"


def shown(text: str) -> str:
    """Return the text as a reason quotes it: short, and with nothing that a terminal obeys."""
    return repr(text if len(text) <= 40 else text[:37] + "...")
