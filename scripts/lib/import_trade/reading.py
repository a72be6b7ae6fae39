"""Strict reading: every physical line of the file is accepted or rejected by name, or the file is
refused as a whole. Nothing is guessed.

Fields are read as RFC 4180 reads them, in UTF-8 with or without a byte order mark. Times in the
file bear no zone and are taken as UTC.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

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


class Refused(Exception):
    """The file as a whole cannot be imported."""


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


@dataclass(frozen=True, slots=True)
class TradeFile:
    name: str
    lines: tuple[Line, ...]
    rejections: tuple[Rejection, ...]
    texts: tuple[str, ...]
    """The physical lines, the header first."""

    def text(self, number: int) -> str:
        return self.texts[number - 1]


@dataclass(frozen=True, slots=True)
class Record:
    """What RFC 4180 calls a record, with the physical lines it stands on."""

    first: int
    last: int
    fields: list[str]
    fault: str | None = None


def read_trade(path: Path, now: datetime) -> TradeFile:
    """Read the whole file. Raises Refused if no part of it can be trusted."""
    text = decode(load(path), path.name)
    texts = tuple(line.rstrip("\r") for line in text.split("\n"))
    records = read_records(text)
    header = read_header(next(records, None), path.name)

    lines, rejections, positions = [], [], Counter()
    for record in records:
        try:
            lines.append(read_line(record, header, positions, now))
        except (Malformed, NoTrade) as fault:
            rejections += reject(record, fault, texts)
    refuse_if_nothing_is_left(path.name, lines, rejections)
    return TradeFile(path.name, tuple(lines), tuple(rejections), texts)


def load(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error


def decode(data: bytes, name: str) -> str:
    """Return the text, without a byte order mark. One line in another encoding refuses the file,
    because its neighbours were then probably misread too."""
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Refused(
            f"{name}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8. "
            "Save the file as UTF-8; ISO-8859-1 and Windows-1252 are not accepted."
        ) from error


def read_records(text: str) -> Iterator[Record]:
    """Yield the records with their physical line numbers, blank lines left out.

    A record that runs over the end of a line comes with a fault, as does one that breaks the
    rules of quoting. A quote that never ends refuses the file: it may have swallowed anything.
    """
    csv.field_size_limit(len(text) + 1)  # a long field is a matter for the checks, by name
    reader = csv.reader(io.StringIO(text, newline="\n"), strict=True)
    while True:
        first = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise Refused(f"line {first}: a quoted field is opened that never ends") from error
            yield Record(first, reader.line_num, [], f"broken quoting or line end: {error}")
            continue
        if fields:
            yield Record(first, reader.line_num, fields, line_break_in(fields))


def line_break_in(fields: list[str]) -> str | None:
    if any("\n" in field or "\r" in field for field in fields):
        return "a quoted field runs over the end of its line"
    return None


def read_header(record: Record | None, name: str) -> dict[str, int]:
    """Return the column's place by its name. Columns may stand in any order, and others beside."""
    if record is None:
        raise Refused(f"{name} is empty")
    if record.fault:
        raise Refused(f"{name}, line {record.first}: {record.fault}")

    columns = [field.strip() for field in record.fields]
    missing = [column for column in COLUMNS if column not in columns]
    if missing:
        raise Refused(f"{name}: column {', '.join(missing)} is missing from the first line")
    repeated = [column for column in COLUMNS if columns.count(column) > 1]
    if repeated:
        raise Refused(f"{name}: column {', '.join(repeated)} stands twice in the first line")
    return {column: place for place, column in enumerate(columns)}


def refuse_if_nothing_is_left(name: str, lines: list, rejections: list[Rejection]) -> None:
    """Refuse a file that has no line in this format; one whose every line is well formed and
    merely no trade is a small file, not a wrong one."""
    if not lines and not rejections:
        raise Refused(f"{name} has no line below its first")
    if not lines and all(rejection.malformed for rejection in rejections):
        first = rejections[0]
        raise Refused(
            f"{name}: none of its {len(rejections):,} lines can be read; "
            f"line {first.number}: {first.reason}"
        )


def reject(record: Record, fault: Exception, texts: tuple[str, ...]) -> list[Rejection]:
    """Reject every physical line of the record by its own number."""
    return [
        Rejection(number, str(fault), texts[number - 1], isinstance(fault, Malformed))
        for number in range(record.first, record.last + 1)
    ]


def read_line(record: Record, header: dict[str, int], positions: Counter, now: datetime) -> Line:
    """Return the line, or raise Malformed or NoTrade with the reason."""
    if record.fault:
        raise Malformed(record.fault)
    if len(record.fields) != len(header):
        raise Malformed(f"{len(record.fields)} fields where the first line has {len(header)}")

    value = {column: record.fields[header[column]].strip() for column in COLUMNS}
    positions[value["InvoiceNo"]] += 1
    for column in COLUMNS:
        if "\0" in value[column]:
            raise Malformed(f"{column} contains a NUL character")

    line = Line(
        number=record.first,
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
