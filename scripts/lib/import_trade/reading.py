"""Strict reading: every physical line of the file is accepted or rejected by name, or the file is
refused as a whole. Nothing is guessed.

Times in the file bear no zone as a rule, and are then taken as UTC.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from import_trade.form import COLUMNS, OTHER_NAMES, PLAIN, Form, Header
from import_trade.lines import Line, Malformed, Rejection, read_line, rejected, why_no_trade
from import_trade.records import Record, Refused, Sheet
from import_trade.text_file import read_text_file
from import_trade.workbook import is_workbook, read_workbook

DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class TradeFile:
    name: str
    lines: tuple[Line, ...]
    rejections: tuple[Rejection, ...]


def read_trade(path: Path, now: datetime, form: Form = PLAIN) -> TradeFile:
    """Read the whole file, a text file or a workbook. Raises Refused if no part can be trusted."""
    reader = Reader(form, now)
    for sheet in sheets_of(path, form):
        reader.read(sheet)
    refuse_if_nothing_is_left(path.name, reader.lines, reader.rejections)
    return TradeFile(path.name, tuple(reader.lines), tuple(reader.rejections))


def sheets_of(path: Path, form: Form) -> Iterable[Sheet]:
    try:
        with path.open("rb") as file:
            if is_workbook(file):
                return read_workbook(path, form)
            return [read_text_file(file.read(), path.name, form)]
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error


class Reader:
    """Reads one sheet after the other. Lines are numbered through all of them."""

    def __init__(self, form: Form, now: datetime):
        self.form = form
        self.now = now
        self.lines: list[Line] = []
        self.rejections: list[Rejection] = []
        self._positions = Counter()
        self._sheet_of: dict[str, str] = {}
        self._passed = 0
        """The lines of the sheets before this one."""

    def read(self, sheet: Sheet) -> None:
        header = read_header(next(sheet.records, None), sheet.name, self.form)
        last = 1
        for record in sheet.records:
            last = record.first + len(record.texts) - 1
            self._read(record, header, sheet)
        self._passed += last

    def _read(self, record: Record, header: Header, sheet: Sheet) -> None:
        try:
            line = self._line(record, header, sheet)
        except Malformed as fault:
            self.rejections += self._reject(record, str(fault), header, sheet)
            return
        if reason := why_no_trade(line):
            self.rejections.append(rejected(line, reason, malformed=False))
        else:
            self.lines.append(line)

    def _line(self, record: Record, header: Header, sheet: Sheet) -> Line:
        if record.fault:
            raise Malformed(record.fault)
        number = self._passed + record.first
        place = sheet.place(record.first)
        line = read_line(number, place, record, header, self.form, self._positions, self.now)
        # "Online Retail II" repeats nine days of its first sheet on its second
        first_sheet = self._sheet_of.setdefault(line.invoice, sheet.name)
        if first_sheet != sheet.name:
            raise Malformed(f"the invoice stands on {first_sheet} already")
        return line

    def _reject(self, record: Record, reason: str, header: Header, sheet: Sheet) -> list[Rejection]:
        """Reject every physical line of the record by its own number."""
        invoice = None
        if not record.fault and len(record.fields) == header.width:
            invoice = record.fields[header.places["InvoiceNo"]].strip()
        return [
            Rejection(self._passed + number, sheet.place(number), reason, text, True, invoice)
            for number, text in enumerate(record.texts, record.first)
        ]


def read_header(record: Record | None, name: str, form: Form) -> Header:
    """Return where the columns are. They may stand in any order, and others beside them."""
    if record is None:
        raise Refused(f"{name} is empty")
    if record.fault:
        raise Refused(f"{name}, line {record.first}: {record.fault}")

    found = [field.strip() for field in record.fields]
    names = {column: name_in(found, column) for column in COLUMNS}
    missing = [column for column in COLUMNS if names[column] not in found]
    if missing:
        refuse_another_delimiter(name, found, form)
        raise Refused(f"{name}: column {', '.join(missing)} is missing from the first line")
    repeated = [column for column in COLUMNS if found.count(names[column]) > 1]
    if repeated:
        raise Refused(f"{name}: column {', '.join(repeated)} stands twice in the first line")
    return Header({column: found.index(names[column]) for column in COLUMNS}, len(found))


def name_in(found: list[str], column: str) -> str:
    """Return what the file calls the column."""
    return column if column in found else OTHER_NAMES.get(column, column)


def refuse_another_delimiter(name: str, found: list[str], form: Form) -> None:
    """Raise Refused if the first line has one field that holds another delimiter."""
    if len(found) > 1:
        return
    for other in DELIMITERS:
        if other in found[0]:
            word = "tab" if other == "\t" else f"'{other}'"
            raise Refused(
                f"{name}: the first line separates its columns by {word}. Call again with "
                f"--delimiter {word}, and with --decimal , if prices are written 2,55."
            )


def refuse_if_nothing_is_left(name: str, lines: list, rejections: list[Rejection]) -> None:
    """Refuse a file that has no line in this format; one whose every line is well formed and
    merely no trade is a small file, not a wrong one."""
    if not lines and not rejections:
        raise Refused(f"{name} has no line below its first")
    if not lines and all(rejection.malformed for rejection in rejections):
        first = rejections[0]
        raise Refused(
            f"{name}: none of its {len(rejections):,} lines can be read; "
            f"line {first.place}: {first.reason}\n"
            "scripts/import-trade --help lists the options for files in another form."
        )
