"""The words of the command line."""

import argparse
import os
from pathlib import Path
from urllib.parse import urlsplit

from import_trade.form import PLAIN, Form

MOST_THREADS = 64
DELIMITER_WORDS = {"tab": "\t", "\\t": "\t", "semicolon": ";", "comma": ",", "pipe": "|"}
DIRECTIVES_OF_A_DAY = (
    ("%d", "%m", "%Y"),
    ("%d", "%m", "%y"),
    ("%d", "%b", "%Y"),
    ("%d", "%B", "%Y"),
)


def read_options(words: list[str]) -> argparse.Namespace:
    var = Path(os.environ.get("QUARTET_VAR") or "var")
    port = os.environ.get("QUARTET_HTTP_PORT") or "8080"
    parser = argparse.ArgumentParser(
        prog="scripts/import-trade", allow_abbrev=False, add_help=False
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--delimiter", type=delimiter, default=PLAIN.delimiter)
    parser.add_argument("--decimal", choices=[".", ","], default=PLAIN.decimal)
    parser.add_argument("--date-format", type=date_format, default=PLAIN.date_format)
    parser.add_argument("--encoding", type=encoding, default=PLAIN.encoding)
    parser.add_argument(
        "--url", type=base_url, default=os.environ.get("QUARTET_URL") or f"http://127.0.0.1:{port}"
    )
    parser.add_argument("--password-file", type=Path, default=var / "secrets" / "admin.password")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--concurrency", type=thread_count, default=4)
    options = parser.parse_args(words)
    options.var = var
    options.form = Form(options.delimiter, options.decimal, options.date_format, options.encoding)
    return options


def delimiter(text: str) -> str:
    character = DELIMITER_WORDS.get(text, text)
    if len(character) != 1 or character in "\"'\r\n\0" or character.isalnum():
        raise argparse.ArgumentTypeError(
            f"{text!r} is not one character, such as ; or | or the word tab"
        )
    return character


def date_format(text: str) -> str:
    """Accept a format of strptime that names a day of the calendar."""
    if not any(all(one in text for one in day) for day in DIRECTIVES_OF_A_DAY):
        raise argparse.ArgumentTypeError(
            f"{text!r} names no day, month and year, as '%m/%d/%Y %H:%M' does for 12/31/2010 8:26"
        )
    return text


def encoding(text: str) -> str:
    try:
        "a".encode(text)
    except (LookupError, UnicodeError, ValueError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no encoding, such as utf-8, windows-1252, iso-8859-1 or utf-16"
        ) from error
    return text


def base_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError(f"{text!r} is no http:// or https:// address")
    return text.rstrip("/")


def thread_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_THREADS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MOST_THREADS}")
    return int(text)
