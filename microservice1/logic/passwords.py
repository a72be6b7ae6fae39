"""Passwords: argon2id, and only a few at a time, because each takes 19 MiB while it is hashed.

Not to be called inside a transaction: it takes as long as many statements. (A registration with an
`Idempotency-Key` is one transaction as a whole; the threads of a process bound how many there are.)
"""

import threading
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from chassis import context
from microservice1.errors import PasswordsBusy

AT_ONCE = 2  # in one process
WAIT_SECONDS = 0.5

# https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
_hasher = PasswordHasher(memory_cost=19_456, time_cost=2, parallelism=1)
_places = threading.BoundedSemaphore(AT_ONCE)


def hashed(password):
    """Return the hash to be stored. Raises PasswordsBusy."""
    with _place():
        return _hasher.hash(password)


def matches(password, password_hash):
    """Whether this is the password. Raises PasswordsBusy.

    Where there is no hash, it is not, after the same work: how long the answer takes tells nobody
    which accounts exist.
    """
    if password_hash is None:
        hashed(password)
        return False
    with _place():
        try:
            return _hasher.verify(password_hash, password)
        except VerifyMismatchError:
            return False


def is_outdated(password_hash):
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(password_hash)


@contextmanager
def _place():
    if not _places.acquire(timeout=context.at_most(WAIT_SECONDS)):
        raise PasswordsBusy
    try:
        yield
    finally:
        _places.release()
