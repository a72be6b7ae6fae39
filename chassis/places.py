"""Places for work that is expensive: so much of it at once in a process, and no more.

Work that waited for a place would hold a thread meanwhile, and soon all of them. So it is refused
at once, and its client told to try again.
"""

import threading
from contextlib import contextmanager


class Places:
    """number: how many there are. refusal: the class of chassis.errors.Problem without a place."""

    def __init__(self, number, refusal):
        self._free = threading.BoundedSemaphore(number)
        self._refusal = refusal

    @contextmanager
    def taken(self):
        """Take a place for as long as the body runs. Raises the refusal if there is none."""
        if not self._free.acquire(blocking=False):
            raise self._refusal
        try:
            yield
        finally:
            self._free.release()
