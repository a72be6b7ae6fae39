"""Strict reading: every physical line of the file is accepted or rejected by name, or the file is
refused as a whole. Nothing is guessed.

Fields are read as RFC 4180 reads them, in UTF-8 with or without a byte order mark. Times in the
file bear no zone and are taken as UTC.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from import_trade.lines import COLUMNS, Line, Malformed, NoTrade, Rejection, read_line


class Refused(Exception):
    """The file as a whole cannot be imported."""


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
            if record.fault:
                raise Malformed(record.fault)
            lines.append(read_line(record.first, record.fields, header, positions, now))
        except (Malformed, NoTrade) as fault:
            rejections += reject(record, fault, header, texts)
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


def reject(
    record: Record, fault: Exception, header: dict[str, int], texts: tuple[str, ...]
) -> list[Rejection]:
    """Reject every physical line of the record by its own number."""
    invoice = sku = None
    if not record.fault and len(record.fields) == len(header):
        invoice, sku = (record.fields[header[name]].strip() for name in ("InvoiceNo", "StockCode"))
    return [
        Rejection(number, str(fault), texts[number - 1], isinstance(fault, Malformed), invoice, sku)
        for number in range(record.first, record.last + 1)
    ]
