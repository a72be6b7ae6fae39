"""Chooses lines of logs: what scripts/logs shows, and the last error that scripts/status names.

Usage: log_lines.py [--since SECONDS] [--errors] [--lines N] [--last-error] COMMAND...

runs COMMAND, which prints logs, and prints what is chosen of them, safe for a terminal. Exit
status: COMMAND's. `--since` is in seconds since 1970; `--lines` are the last ones of each file,
whose name `tail` prints before it; `--last-error` prints one error in a few words.

Errors are lines of services at the level `error` or above, answers 5xx, and what PostgreSQL, Nginx
and uWSGI call an error. A line without a time, as those of a traceback, belongs to the one before.
"""

import argparse
import json
import re
import sys
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

import printable

_HEADING = re.compile(r"==> .* <==\n?")  # of tail, before the lines of a file
_TIME = re.compile(r"(\d{4})[-/](\d\d)[-/](\d\d)[ T](\d\d):(\d\d):(\d\d)")  # all are in UTC
_PROGRAMS_ERROR = re.compile(
    r"\b(ERROR|FATAL|PANIC):|\[(error|crit|alert|emerg)\]"  # PostgreSQL, Nginx
    r"|\bHARAKIRI\b|\bdied\b|\bno app loaded\b|\bno python application\b"  # uWSGI
    r"|^[\w.]+(Error|Exception)\b"
)
_CLIENT_LEFT = "OSError: write error"  # uWSGI's words for it
_TRACEBACK = "Traceback (most recent call last)"
_LEVELS = {"error", "critical"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log. seconds: since 1970, None: unknown."""

    text: str
    seconds: float | None
    is_error: bool


class Reader:
    """Understands the lines of one file, in their order."""

    def __init__(self):
        self._seconds = None
        self._in_traceback = False

    def read(self, text):
        entry = _entry(text)
        if entry is not None:
            self._in_traceback = False
            self._seconds = _seconds_of(entry) or self._seconds
            return Line(text, self._seconds, _is_error(entry))
        if found := _TIME.search(text[:40]):
            self._in_traceback = False
            self._seconds = datetime(*map(int, found.groups()), tzinfo=UTC).timestamp()
        return Line(text, self._seconds, self._is_error_of_a_program(text))

    def _is_error_of_a_program(self, text):
        if _TRACEBACK in text:
            self._in_traceback = True
            return True
        if self._in_traceback:
            # it ends with the first line that is not indented, the exception itself
            self._in_traceback = text[:1].isspace()
            return True
        return bool(_PROGRAMS_ERROR.search(text)) and not text.startswith(_CLIENT_LEFT)


def _entry(text):
    """Return the JSON object of a service's or of Nginx's access log, None if there is none."""
    if not text.startswith("{"):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _seconds_of(entry):
    try:
        if "listener" in entry:
            return float(entry["ended"])
        return datetime.fromisoformat(entry["time"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return None


def _is_error(entry):
    status = entry.get("status")
    return entry.get("level") in _LEVELS or (isinstance(status, int) and status >= 500)


def chosen(lines, since=None, errors=False, most=None):
    """Yield the texts of those lines that are wanted, each file's under its heading.

    since: seconds since 1970 or None. errors: only those. most: how many of each file, None: all.
    They come as they are read, unless `most` is given.
    """
    reader, heading, kept = Reader(), "", deque(maxlen=most)
    for text in lines:
        if _HEADING.fullmatch(text):
            yield from _flushed(heading, kept)
            reader, heading = Reader(), text
            continue
        line = reader.read(text)
        is_young = since is None or (line.seconds is not None and line.seconds >= since)
        if text.strip() and is_young and (line.is_error or not errors):
            kept.append(text)
            if most is None:
                yield from _flushed(heading, kept)
                heading = ""
    yield from _flushed(heading, kept)


def _flushed(heading, kept):
    if kept and heading:
        yield "\n" + heading
    yield from kept
    kept.clear()


def last_error(lines):
    """Yield the last error in a few words; nothing if there is none.

    An answer 5xx is none here: it follows from an error that is logged by itself, or from a
    neighbour's.
    """
    found = None
    reader = Reader()
    for text in lines:
        line = reader.read(text)
        if line.is_error and text.strip() and not text.startswith((" ", _TRACEBACK)):
            found = _in_words(text) or found
    if found:
        yield found + "\n"


def _in_words(text):
    entry = _entry(text)
    if entry is None:
        return text.strip()
    if "message" not in entry or entry.get("name") == "access":
        return None
    cause = str(entry.get("exc_info") or "").strip().rpartition("\n")[2]
    return ": ".join(filter(None, [str(entry["message"]), cause]))


def _arguments(words):
    parser = argparse.ArgumentParser()
    parser.add_argument("--since", type=float)
    parser.add_argument("--errors", action="store_true")
    parser.add_argument("--lines", type=int)
    parser.add_argument("--last-error", action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    return parser.parse_args(words)


def main(words):
    asked = _arguments(words)

    def choose(lines):
        if asked.last_error:
            return last_error(lines)
        if asked.since is None and not asked.errors and asked.lines is None:
            return lines
        return chosen(lines, asked.since, asked.errors, asked.lines)

    return printable.run(asked.command, choose)


if __name__ == "__main__":
    printable.exit_with(main, sys.argv[1:])
