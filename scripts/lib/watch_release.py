"""Compare the failures of a new release with those of the release before it.

Usage: watch_release.py before SERVICE LOG
       watch_release.py watch SERVICE LOG OFFSET SECONDS SHARE

LOG is Nginx's access log. `before` prints the share of failures among the answers of the last
minute, or of the last 10 s if that is more. `watch` reads the log from OFFSET on. Exit status: 0 if
all SECONDS went well; 1 as soon as at least 5 of the answers of the last 10 s are failures, and
their share exceeds SHARE by more than 0.05.

A failure is what the release itself causes: see Answer.is_failure.
"""

import sys
import time
from collections import deque

from access_log import AccessLog, recent_answers

BEFORE_SECONDS = 60
WINDOW_SECONDS = 10
LOOK_SECONDS = 0.25
FEWEST_FAILURES = 5
LARGEST_RISE = 0.05


def is_too_bad(failures, answers, share_before):
    return failures >= FEWEST_FAILURES and failures > (share_before + LARGEST_RISE) * answers


def share_of_failures(answers):
    """Return 0 to 1. Fewer than FEWEST_FAILURES are 0: one of two answers is not a half."""
    failures = sum(answer.is_failure for answer in answers)
    return failures / len(answers) if failures >= FEWEST_FAILURES else 0.0


def before(service, path):
    shares = [
        share_of_failures([one for one in recent_answers(path, seconds) if one.service == service])
        for seconds in (BEFORE_SECONDS, WINDOW_SECONDS)
    ]
    print(f"{max(shares):.3f}")


def watch(service, path, offset, seconds, share_before):
    log = AccessLog(path, int(offset))
    end = time.monotonic() + float(seconds)
    window = deque()
    total = 0
    while (now := time.monotonic()) < end:
        answers = [answer for answer in log.new_answers() if answer.service == service]
        total += len(answers)
        window.extend((now, answer.is_failure) for answer in answers)
        while window and window[0][0] < now - WINDOW_SECONDS:
            window.popleft()
        failures = sum(is_failure for _, is_failure in window)
        if is_too_bad(failures, len(window), float(share_before)):
            sys.exit(
                f"{failures} of the last {len(window)} answers were failures (500 or 502); "
                f"before the switch {float(share_before):.0%} were"
            )
        time.sleep(LOOK_SECONDS)
    print(f"{total} answers watched")


if __name__ == "__main__":
    {"before": before, "watch": watch}[sys.argv[1]](*sys.argv[2:])
