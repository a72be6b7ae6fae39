"""What the readers of text files and of workbooks have in common: sheets of records."""

from collections.abc import Iterator
from dataclasses import dataclass


class Refused(Exception):
    """The file as a whole cannot be imported."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record, with the physical lines that it stands on. A row of a workbook is one line."""

    first: int
    fields: list[str]
    texts: list[str]
    """The physical lines, as the report shows them."""
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """The records of a text file, or of one sheet of a workbook."""

    name: str
    records: Iterator[Record]
    prefix: str = ""
    """What stands before a line's number in messages, if the file has several sheets."""

    def place(self, number: int) -> str:
        return f"{self.prefix}{number}"
