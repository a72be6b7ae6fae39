"""Passwords: argon2id, one at a time in a process, by a thread that steps back for all others.

A hash takes 19 MiB and a core for tens of milliseconds. One thread makes all of a process, at a
lower priority, so that logins never take the processors from other requests; and more than one
request does not wait for it, so that logins never hold all threads.

Not to be called inside a transaction: it takes as long as many statements. (A registration with an
`Idempotency-Key` is one transaction as a whole; the places bound how many there are.)
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from chassis.places import Places
from chassis.text import in_nfc
from microservice1.errors import PasswordsBusy

PLACES = 2  # in one process: one password is hashed, one waits
NICENESS = 10  # a busy processor gives such a thread a tenth of what it gives another one

# https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
_hasher = PasswordHasher(memory_cost=19_456, time_cost=2, parallelism=1)
_places = Places(PLACES, PasswordsBusy)


def hashed(password):
    """Return the hash to be stored, of the password in NFC (RFC 8265). Raises PasswordsBusy."""
    return _by_the_hashing_thread(_hasher.hash, in_nfc(password))


def confirmed(password, password_hash):
    """Return the hash to be stored from now on, or None if this is not the password.

    The hash is another one if the present one was made with other parameters, or of a password that
    was not in NFC. Without a hash the answer is None after the same work, so the time that it takes
    does not tell which accounts exist. Raises PasswordsBusy.
    """
    if _matches(in_nfc(password), password_hash):
        return hashed(password) if is_outdated(password_hash) else password_hash
    # hashes of older releases are of the password as it was typed
    if password != in_nfc(password) and _matches(password, password_hash):
        return hashed(password)
    return None


def is_outdated(password_hash):
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(password_hash)


def _matches(password, password_hash):
    if password_hash is None:
        hashed(password)
        return False
    try:
        return _by_the_hashing_thread(_hasher.verify, password_hash, password)
    except VerifyMismatchError:
        return False


def _by_the_hashing_thread(work, *arguments):
    with _places.taken():
        return _thread.submit(work, *arguments).result()


def _step_back():
    with suppress(PermissionError):  # of a sandbox that does not allow it: then at full priority
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


_thread = ThreadPoolExecutor(1, "passwords", _step_back)
