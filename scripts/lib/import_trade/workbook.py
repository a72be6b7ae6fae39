"""A workbook (XLSX) becomes records, one sheet after the other.

Cells hold numbers, texts and times. They become the texts that a text file would hold: numbers in
at most 15 digits, as a spreadsheet shows them, and serial numbers of days as times, counted from
the workbook's own epoch.

A workbook is a ZIP of XML, so a small file can hold a lot. The bytes of its parts and the number of
rows are bounded. XML entities are refused by defusedxml, which openpyxl uses where it is installed.
"""

import csv
import io
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import BinaryIO
from xml.etree.ElementTree import ParseError

import openpyxl
from defusedxml import DefusedXmlException
from openpyxl.utils.datetime import from_excel
from openpyxl.utils.exceptions import InvalidFileException

from import_trade.form import PLAIN, Form
from import_trade.records import Record, Refused, Sheet

MEBIBYTE = 2**20
MOST_BYTES = 1024 * MEBIBYTE
"""Of all parts, unpacked. "Online Retail II", a million rows, has less than half of that."""
MOST_BYTES_BESIDE_SHEETS = 64 * MEBIBYTE
"""Of each part that is no sheet, because openpyxl reads these into memory."""
MOST_TIMES_PACKED = 100
"""Sheets unpack to some ten times their size in the ZIP, zip bombs to a thousand times."""
SMALL_BYTES = MEBIBYTE
"""A part of this size is harmless, however well it is packed."""
MOST_ROWS = 1_048_576
"""Of a sheet, by the format."""

ZIP_BEGINS = b"PK\x03\x04"
OLD_WORKBOOK_BEGINS = b"\xd0\xcf\x11\xe0"
SHEETS_FOLDER = "xl/worksheets/"
DATE_COLUMN = "InvoiceDate"

DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    DefusedXmlException,
    InvalidFileException,
    ParseError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What zipfile and openpyxl raise for a damaged file."""


def is_workbook(file: BinaryIO) -> bool:
    """Return whether the file begins as a workbook does, also as one of before 2007."""
    begins = file.read(4)
    file.seek(0)
    return begins in (ZIP_BEGINS, OLD_WORKBOOK_BEGINS)


def read_workbook(path: Path, form: Form) -> Iterator[Sheet]:
    """Yield the sheets that are not empty. Raises Refused, also while they are read."""
    if form != PLAIN:
        raise Refused(
            f"{path.name} is a workbook, which knows its own numbers and times: "
            "leave out --delimiter, --decimal, --date-format and --encoding."
        )
    warnings.filterwarnings("ignore", module="openpyxl")  # of styles and extensions
    with path.open("rb") as file:
        check_size(file, path.name)
        book = open_book(file, path.name)
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # some programs write wrong ones, which would cut rows off
            title = sheet.title if len(book.worksheets) > 1 else ""
            rows = guarded(sheet.iter_rows(values_only=True), path.name)
            records = read_records(rows, book.epoch, path.name)
            if first := next(records, None):
                name = f"sheet {title} of {path.name}" if title else path.name
                yield Sheet(name, chain([first], records), f"{title}!" if title else "")


def check_size(file: BinaryIO, name: str) -> None:
    """Raise Refused if the parts are too large. zipfile never unpacks more than a part declares."""
    try:
        with zipfile.ZipFile(file) as book:
            parts = book.infolist()
    except DAMAGED as error:
        raise Refused(damage(name, file, error)) from error
    total = sum(part.file_size for part in parts)
    if total > MOST_BYTES:
        raise Refused(
            f"{name} unpacks to {total // MEBIBYTE:,} MiB, and at most "
            f"{MOST_BYTES // MEBIBYTE:,} are read. Divide it into several files."
        )
    for part in parts:
        if part.file_size > max(SMALL_BYTES, MOST_TIMES_PACKED * part.compress_size):
            raise Refused(
                f"{name}: {part.filename} unpacks to more than {MOST_TIMES_PACKED} times its size, "
                "as a zip bomb does. Save the workbook again with a spreadsheet program."
            )
        if part.file_size > MOST_BYTES_BESIDE_SHEETS and not part.filename.startswith(
            SHEETS_FOLDER
        ):
            raise Refused(
                f"{name}: {part.filename} unpacks to {part.file_size // MEBIBYTE:,} MiB; "
                f"at most {MOST_BYTES_BESIDE_SHEETS // MEBIBYTE:,} are read beside the sheets."
            )


def open_book(file: BinaryIO, name: str) -> openpyxl.Workbook:
    try:
        return openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
    except DAMAGED as error:
        raise Refused(damage(name, file, error)) from error


def guarded(rows: Iterator[tuple], name: str) -> Iterator[tuple]:
    """Yield the rows. Raises Refused if the file turns out to be damaged."""
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except DAMAGED as error:
            raise Refused(f"{name} cannot be read as a workbook: {cause_of(error)}") from error
        yield row


def damage(name: str, file: BinaryIO, error: Exception) -> str:
    file.seek(0)
    if file.read(4) == OLD_WORKBOOK_BEGINS:
        return (
            f"{name} is an Excel file of before 2007, or has a password. "
            "Save it as an Excel workbook (.xlsx) without a password, or as CSV in UTF-8."
        )
    return (
        f"{name} is a ZIP file, but cannot be read as a workbook: {cause_of(error)}. "
        "If a workbook is packed in it, unpack it first."
    )


def cause_of(error: Exception) -> str:
    """Return the first line of what was wrong first: openpyxl repeats it in long sentences."""
    while error.__cause__:
        error = error.__cause__
    return str(error).partition("\n")[0] or type(error).__name__


def read_records(rows: Iterator[tuple], epoch: datetime, name: str) -> Iterator[Record]:
    """Yield the rows as records, blank rows left out. The first one names the columns."""
    width = 0
    date_place = None
    for number, cells in enumerate(rows, 1):
        if number > MOST_ROWS:
            raise Refused(f"{name} has a sheet of more than {MOST_ROWS:,} rows")
        fields = [
            text_of(from_serial(cell, epoch) if place == date_place else cell)
            for place, cell in enumerate(cells)
        ]
        while len(fields) > width and not fields[-1]:
            fields.pop()
        if not any(fields):
            continue
        fields += [""] * (width - len(fields))
        yield Record(number, fields, [as_csv(fields)])
        if not width:
            width = len(fields)
            date_place = fields.index(DATE_COLUMN) if DATE_COLUMN in fields else None


def from_serial(cell: object, epoch: datetime) -> object:
    """Return the time that a number of days stands for; anything else as it is."""
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return cell
    try:
        return from_excel(cell, epoch)
    except (ArithmeticError, ValueError):
        return cell


def text_of(cell: object) -> str:
    """Return what a text file would hold in place of the cell."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float):
        return format(Decimal(f"{cell:.15g}"), "f")
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ")
    return str(cell)


def as_csv(fields: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(fields)
    return text.getvalue()
