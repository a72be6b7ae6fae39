"""What each service was asked in the last minute: a line `microservice1 RPS ERRORS% P95` each.

Usage: traffic.py LOG SERVICE...    LOG: Nginx's access log; P95 in milliseconds.
"""

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

from access_log import answer_of

SECONDS = 60
MOST_BYTES = 20_000_000  # of a busy minute


def recent_lines(path):
    """Return the lines of the last minute."""
    with Path(path).open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - MOST_BYTES))
        lines = file.read().splitlines()
    since = datetime.now().astimezone() - timedelta(seconds=SECONDS)
    return [line for line in lines if is_after(line, since)]


def is_after(line, since):
    try:
        return datetime.fromisoformat(json.loads(line)["time"]) >= since
    except (ValueError, KeyError, TypeError):
        return False


def main(path, *services):
    answers = [answer for line in recent_lines(path) if (answer := answer_of(line))]
    for service in services:
        own = [answer for answer in answers if answer.service == service]
        errors = sum(answer.is_error for answer in own)
        slow = sorted(answer.seconds for answer in own)
        p95 = f"{slow[int(len(slow) * 0.95)] * 1000:.0f}" if slow else "-"
        print(f"{service} {len(own) / SECONDS:.1f} {100 * errors / max(1, len(own)):.1f}% {p95}")


if __name__ == "__main__":
    main(*sys.argv[1:])
