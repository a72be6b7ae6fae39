"""Nginx's access log: what clients and neighbours were answered, a line of JSON each."""

import json
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

MOST_BYTES = 20_000_000  # of a busy minute


@dataclass(frozen=True, slots=True)
class Answer:
    """service: `microservice2`. seconds: how long Nginx took for all of it."""

    service: str
    status: int
    seconds: float

    @property
    def is_error(self):
        return self.status >= 500


class AccessLog:
    """Reads what is written after some place in the file, also when the file is rotated."""

    def __init__(self, path, offset):
        self._path = Path(path)
        self._file = self._path.open("rb")
        if offset <= os.fstat(self._file.fileno()).st_size:  # else it has been rotated since
            self._file.seek(offset)
        self._rest = b""

    def new_answers(self):
        """Return the answers of services that were logged since the last call."""
        lines = self._read()
        if self._path.stat().st_ino != os.fstat(self._file.fileno()).st_ino:
            lines += self._read()
            self._file.close()
            self._file = self._path.open("rb")
            self._rest = b""
            lines += self._read()
        return [answer for answer in map(answer_of, lines) if answer]

    def _read(self):
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return lines


def recent_answers(path, seconds):
    """Return the Answers of the last so many seconds."""
    since = datetime.now().astimezone() - timedelta(seconds=seconds)
    with Path(path).open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - MOST_BYTES))
        lines = [line for line in file if _is_after(line, since)]
    return [answer for answer in map(answer_of, lines) if answer]


def _is_after(line, since):
    try:
        return datetime.fromisoformat(json.loads(line)["time"]) >= since
    except (ValueError, KeyError, TypeError):
        return False


def answer_of(line):
    """Return the Answer that a line tells of; None if it is of no service."""
    try:
        entry = json.loads(line)
        _, api, service, _ = entry["path"].split("/", 3)
        if api != "api" or not service.startswith("service"):
            return None
        return Answer(f"micro{service}", int(entry["status"]), float(entry["seconds"]))
    except (ValueError, KeyError, TypeError):
        return None
