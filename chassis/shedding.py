"""Load shedding: when more waits than can be served in time, what can wait is told so at once.

uWSGI takes requests from a listen queue. Once that is half full, public routes answer 503 with
`Retry-After`, which costs next to nothing and empties the queue. Health is always told, and what
the other services ask for is always served: it brings orders to their end.
"""

import logging
import threading
import time
from functools import partial

import flask

from chassis.auth import is_internal_request
from chassis.errors import Unavailable
from chassis.listen_queue import listen_queue

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.05  # for so long one look at the queue is good


class TooMuchToDo(Unavailable):
    title = "Too many requests are waiting already"


def init_app(app, queue=None):
    """Shed load by the listen queue of the uWSGI that runs the application; elsewhere do nothing.

    queue: a function that returns (how many wait, how many may wait) and raises OSError.
    """
    queue = queue or _queue_of_uwsgi()
    if queue:
        app.before_request(Shedder(queue).refuse_what_can_wait)


class Shedder:
    """Looks at the queue at most each LOOK_SECONDS, by whichever thread has the next request."""

    def __init__(self, queue):
        self._queue = queue
        self._lock = threading.Lock()
        self._next_look = 0.0
        self._is_half_full = False

    def refuse_what_can_wait(self):
        """Raises TooMuchToDo for the request in hand, if it can wait and has to."""
        if self._too_much() and not _must_be_served():
            raise TooMuchToDo

    def _too_much(self):
        if time.monotonic() >= self._next_look and self._lock.acquire(blocking=False):
            try:
                self._is_half_full = self._look()
                self._next_look = time.monotonic() + LOOK_SECONDS
            finally:
                self._lock.release()
        return self._is_half_full

    def _look(self):
        try:
            waiting, limit = self._queue()
        except OSError:
            return False
        return 2 * waiting >= limit


def _must_be_served():
    return is_internal_request() or flask.request.path.startswith("/health/")


def _queue_of_uwsgi():
    try:
        import uwsgi
    except ImportError:  # not under uWSGI: the tests
        return None
    queue = partial(listen_queue, uwsgi.sockets[0])
    try:
        queue()
    except OSError as error:  # the sandbox of a unit may forbid AF_NETLINK
        log.warning("no load is shed", extra={"reason": str(error)})
        return None
    return queue
