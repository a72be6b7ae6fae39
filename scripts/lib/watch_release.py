"""Watch what a service answers, and tell as soon as too much of it is errors.

Usage: watch_release.py SERVICE LOG OFFSET SECONDS
       watch_release.py SERVICE LOG

LOG is Nginx's access log, read from OFFSET on. Exit status: 0 if all SECONDS went well; 1 as soon
as of the last 10 s more than one answer in twenty, and at least 5, have a status of 500 or above.
Without OFFSET it only tells whether the last 10 s were so.
"""

import sys
import time
from collections import deque

from access_log import AccessLog, recent_answers

WINDOW_SECONDS = 10
LOOK_SECONDS = 0.25
FEWEST_ERRORS = 5
LARGEST_SHARE = 0.05


def is_too_bad(errors, answers):
    return errors >= FEWEST_ERRORS and errors > LARGEST_SHARE * answers


def look_back(service, path):
    answers = [one for one in recent_answers(path, WINDOW_SECONDS) if one.service == service]
    errors = sum(answer.is_error for answer in answers)
    if is_too_bad(errors, len(answers)):
        sys.exit(f"{errors} of the last {len(answers)} answers were errors")


def watch(service, path, offset, seconds):
    log = AccessLog(path, int(offset))
    end = time.monotonic() + float(seconds)
    window = deque()
    total = 0
    while (now := time.monotonic()) < end:
        answers = [answer for answer in log.new_answers() if answer.service == service]
        total += len(answers)
        window.extend((now, answer.is_error) for answer in answers)
        while window and window[0][0] < now - WINDOW_SECONDS:
            window.popleft()
        errors = sum(is_error for _, is_error in window)
        if is_too_bad(errors, len(window)):
            sys.exit(f"{errors} of the last {len(window)} answers were errors")
        time.sleep(LOOK_SECONDS)
    print(f"{total} answers watched")


if __name__ == "__main__":
    look_back(*sys.argv[1:]) if len(sys.argv) == 3 else watch(*sys.argv[1:])
