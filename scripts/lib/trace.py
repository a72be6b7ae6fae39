"""What scripts/trace does: puts the lines that logs hold about a request into order.

Usage: trace.py REQUEST_ID    with lines of logs on standard input, JSON objects among them
"""

import json
import sys
from datetime import UTC, datetime

from printable import printable

ROW = "{:>10}  {:>9}  {:<20} {}"
_KNOWN = {"time", "ended", "level", "service", "name", "message", "request_id", "exc_info"}


def entries(lines):
    """Return (begin, seconds or None, place, what) of each line that is a JSON object of ours.

    begin: seconds since 1970. seconds: how long it took.
    """
    found = []
    for line in lines:
        try:
            entry = json.loads(line[line.index("{") :])
            found.append(of_nginx(entry) if "listener" in entry else of_service(entry))
        except (ValueError, KeyError, TypeError):
            continue  # another program's line
    return sorted(found, key=lambda one: one[0])


def of_nginx(entry):
    place = "nginx" if entry["listener"] == "public" else "nginx, internal"
    what = f"{entry['method']} {entry['path']}: {entry['status']}"
    return entry["ended"] - entry["seconds"], entry["seconds"], place, what


def of_service(entry):
    """A line is written when what it tells has ended."""
    ended = datetime.fromisoformat(entry["time"]).timestamp()
    place = entry["service"] + (" worker" if entry["name"] == "chassis.worker" else "")
    if entry["name"] == "access":
        seconds = entry["duration_ms"] / 1000
        what = f"{entry['method']} {entry['route']}: {entry['status']}, for {entry['actor']}"
        return ended - seconds, seconds, place, what
    return ended, None, place, remark(entry)


def remark(entry):
    facts = " ".join(f"{key}={value}" for key, value in entry.items() if key not in _KNOWN)
    level = "" if entry["level"] == "info" else entry["level"].upper() + " "
    last_line = str(entry.get("exc_info") or "").strip().rpartition("\n")[2]
    return " ".join(filter(None, [level + entry["message"], facts, last_line]))


def main(request_id):
    found = entries(sys.stdin)
    if not found:
        sys.exit(f"No log holds a line about the request {request_id}.")
    first = found[0][0]
    began = datetime.fromtimestamp(first, UTC)
    print(f"Request {request_id}, {began:%Y-%m-%d %H:%M:%S}.{began.microsecond // 1000:03d} UTC\n")
    print(ROW.format("AFTER", "TOOK", "WHERE", "WHAT"))
    for begin, seconds, place, what in found:
        took = "" if seconds is None else f"{seconds * 1000:.0f} ms"
        row = ROW.format(f"{(begin - first) * 1000:.0f} ms", took, place, what)
        print(printable(row.replace("\n", " ")))


if __name__ == "__main__":
    main(*sys.argv[1:])
