"""What each service was asked in the last minute: a line `microservice1 RPS ERRORS% P95` each.

Usage: traffic.py LOG SERVICE...    LOG: Nginx's access log; P95 in milliseconds.
"""

import sys

from access_log import recent_answers

SECONDS = 60


def main(path, *services):
    answers = recent_answers(path, SECONDS)
    for service in services:
        own = [answer for answer in answers if answer.service == service]
        errors = sum(answer.is_error for answer in own)
        slow = sorted(answer.seconds for answer in own)
        p95 = f"{slow[int(len(slow) * 0.95)] * 1000:.0f}" if slow else "-"
        print(f"{service} {len(own) / SECONDS:.1f} {100 * errors / max(1, len(own)):.1f}% {p95}")


if __name__ == "__main__":
    main(*sys.argv[1:])
