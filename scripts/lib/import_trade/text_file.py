"""A text file becomes records, read as RFC 4180 reads them."""

import csv
import io
from collections.abc import Iterator

from import_trade.form import Form
from import_trade.records import Record, Refused, Sheet


def read_text_file(data: bytes, name: str, form: Form) -> Sheet:
    """Return the file's records. Raises Refused if the file is in another encoding."""
    text = decode(data, name, form.encoding)
    texts = [line.rstrip("\r") for line in text.split("\n")]
    return Sheet(name, read_records(text, texts, form.delimiter))


def decode(data: bytes, name: str, encoding: str) -> str:
    """Return the text, without a byte order mark. One line in another encoding refuses the file,
    because its neighbours were then probably misread too."""
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data[: error.start].decode(encoding, errors="ignore").count("\n") + 1
        raise Refused(
            f"{name}, line {line}: byte 0x{data[error.start]:02x} is not {encoding.upper()}. "
            "Name the file's encoding: --encoding windows-1252, iso-8859-1 or utf-16, for instance."
        ) from error
    except UnicodeError as error:
        raise Refused(f"{name} is not {encoding.upper()}: {error}") from error


def read_records(text: str, texts: list[str], delimiter: str) -> Iterator[Record]:
    """Yield the records with their physical line numbers, blank lines left out.

    A record that runs over the end of a line comes with a fault, as does one that breaks the
    rules of quoting. A quote that never ends refuses the file: it may have swallowed anything.
    """
    csv.field_size_limit(len(text) + 1)  # a long field is a matter for the checks, by name
    reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, strict=True)
    while True:
        first = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise Refused(f"line {first}: a quoted field is opened that never ends") from error
            lines = texts[first - 1 : reader.line_num]
            yield Record(first, [], lines, f"broken quoting or line end: {error}")
            continue
        if fields:
            lines = texts[first - 1 : reader.line_num]
            yield Record(first, fields, lines, line_break_in(fields))


def line_break_in(fields: list[str]) -> str | None:
    if any("\n" in field or "\r" in field for field in fields):
        return "a quoted field runs over the end of its line"
    return None
