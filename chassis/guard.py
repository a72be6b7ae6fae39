"""What keeps calls to one neighbour within bounds: a circuit breaker, a retry budget, a bulkhead.

There is one Guard for each neighbour of a service in a process, and one for the mail server. A
client asks its guard before each call, and tells it the outcome of each try. Several threads may
use a guard at once.
"""

import logging
import threading
import time

from chassis import context, metrics
from chassis.settings import SERVICES

log = logging.getLogger(__name__)

MAIL_SERVER = "mail server"

FAILURES_TO_OPEN = 5  # in a row
OPEN_SECONDS = 1.0  # then one call probes
PROBE_SECONDS = 3.0  # a probe of which nothing is heard for so long is given up
CALLS_FOR_A_RETRY = 10  # a retry for every ten calls: 10 %
MOST_RETRIES = 10  # saved up in quiet times
PLACE_SECONDS = 0.1  # to wait for a place: longer than most calls take, shorter than a hanging one


class CircuitBreaker:
    """Lets no call through to a neighbour that does not answer, but one at times to see if it does.

    Closed, it opens after FAILURES_TO_OPEN failures in a row; OPEN_SECONDS later it is half-open
    and lets a single call through, whose success closes it and whose failure opens it again.
    https://martinfowler.com/bliki/CircuitBreaker.html
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._failures = 0
        self._next_probe = None  # when, on the monotonic clock; None: the circuit is closed

    @property
    def is_closed(self):
        return self._next_probe is None

    def seconds_shut(self):
        """Return 0 if a call may go now, and is the probe of an open circuit, else how long not."""
        with self._lock:
            if self._next_probe is None:
                return 0
            now = time.monotonic()
            if now < self._next_probe:
                return self._next_probe - now
            self._next_probe = now + PROBE_SECONDS
            return 0

    def succeeded(self):
        """The neighbour has answered."""
        with self._lock:
            self._failures, self._next_probe = 0, None

    def failed(self):
        """The neighbour has not answered. Returns True if that opened a closed circuit."""
        with self._lock:
            self._failures += 1
            if self._failures < FAILURES_TO_OPEN:
                return False
            was_closed = self.is_closed
            self._next_probe = time.monotonic() + OPEN_SECONDS
            return was_closed


class RetryBudget:
    """Second tries may be a tenth of the calls: more would only burden who is already in trouble.

    A token bucket: a call earns a tenth of a retry. It begins with one retry.
    https://sre.google/sre-book/handling-overload/
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._calls = CALLS_FOR_A_RETRY

    def earn(self):
        """A call is made."""
        with self._lock:
            self._calls = min(self._calls + 1, MOST_RETRIES * CALLS_FOR_A_RETRY)

    def spend(self):
        """Take a retry out of the budget. False if there is none."""
        with self._lock:
            if self._calls < CALLS_FOR_A_RETRY:
                return False
            self._calls -= CALLS_FOR_A_RETRY
            return True


class Bulkhead:
    """Places for so many calls at once: one neighbour that hangs must not hold all our threads."""

    def __init__(self, places):
        self._places = threading.BoundedSemaphore(places)

    def enter(self):
        """Take a place, to be given back by `leave`. False if none gets free in PLACE_SECONDS."""
        return self._places.acquire(timeout=context.at_most(PLACE_SECONDS))

    def leave(self):
        self._places.release()


class Guard:
    """The breaker, the retries and the places (a number) for one neighbour."""

    def __init__(self, neighbour, places):
        self.neighbour = neighbour
        self.breaker = CircuitBreaker()
        self.retries = RetryBudget()
        self.bulkhead = Bulkhead(places)

    def failed(self):
        """The neighbour has not answered: tell the breaker, and the operators if it opens."""
        if self.breaker.failed():
            log.error("circuit open", extra={"neighbour": self.neighbour})
            metrics.circuits_opened().labels(neighbour=self.neighbour).inc()

    def not_called(self, reason):
        """Count a call that was not made. reason: a few words, the same each time."""
        metrics.calls_not_made().labels(neighbour=self.neighbour, reason=reason).inc()


def guards(threads):
    """Return {neighbour: Guard} for all services and the mail server.

    threads: of this process. A neighbour never takes the last one.
    """
    neighbours = (*SERVICES, MAIL_SERVER)
    return {neighbour: Guard(neighbour, max(1, threads - 1)) for neighbour in neighbours}
