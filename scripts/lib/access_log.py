"""Nginx's access log: what clients and neighbours were answered, a line of JSON each."""

import itertools
import json
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

_BLOCK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a client.

    service: `microservice2`. seconds: how long Nginx took for all of it.
    upstream_status: the status that the service gave, 502 if it broke the connection, None if Nginx
    did not connect to it.
    """

    service: str
    status: int
    seconds: float
    upstream_status: int | None = None

    @property
    def is_error(self):
        return self.status >= 500

    @property
    def is_failure(self):
        """Whether the service's own code failed. Overload (503) and slowness (504) are not that."""
        return self.upstream_status in (500, 502)


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
    """Return the Answers of the last so many seconds, the last one first."""
    since = datetime.now().astimezone() - timedelta(seconds=seconds)
    with Path(path).open("rb") as file:
        recent = itertools.takewhile(
            lambda line: not _is_before(line, since), _lines_backwards(file)
        )
        return [answer for answer in map(answer_of, recent) if answer]


def _lines_backwards(file):
    """Of a log of a whole day, only the end is wanted."""
    place, rest = file.seek(0, os.SEEK_END), b""
    while place:
        size = min(place, _BLOCK_BYTES)
        place -= size
        file.seek(place)
        rest, *lines = (file.read(size) + rest).split(b"\n")
        yield from reversed(lines)
    yield rest


def _is_before(line, since):
    try:
        return datetime.fromisoformat(json.loads(line)["time"]) < since
    except (ValueError, KeyError, TypeError):
        return False


def _upstream_status(entry):
    """Nginx names an upstream without its address if it has tried no connection to a server."""
    if not entry.get("upstream", "").rpartition(" ")[2].startswith("unix:"):
        return None
    return int(entry["upstream_status"].rpartition(" ")[2])


def answer_of(line):
    """Return the Answer that a line tells of; None if it is of no service."""
    try:
        entry = json.loads(line)
        _, api, service, _ = entry["path"].split("/", 3)
        if api != "api" or not service.startswith("service"):
            return None
        return Answer(
            f"micro{service}",
            int(entry["status"]),
            float(entry["seconds"]),
            _upstream_status(entry),
        )
    except (ValueError, KeyError, TypeError):
        return None
