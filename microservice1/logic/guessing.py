"""Guessing: who tries passwords is slowed down, by account and by address, and never locked out.

Failures in a row are counted for the account and for the client's network. From an address where
the account has signed in within 30 days they are counted apart, for that account and address
alone, so strangers cannot delay the owner. After the free tries a wait follows each failure: 1 s,
doubled with each further failure, at most LONGEST_WAIT_SECONDS. A try within the wait is refused
before any hash is computed, and is not counted. A count is forgotten after FORGOTTEN_SECONDS
without a try. A success ends the count of the account, but not that of the network: otherwise an
attacker could reset it with an account of his own.

Each count lies in a slot of a table of SLOTS rows, so strangers cannot make the table grow. The
slot follows from an HMAC, so an attacker cannot choose it. Whoever wants to evict a count must
fail about SLOTS times with other names, and each failure costs a hash.
"""

import hmac
import logging
from dataclasses import dataclass

from chassis import audit, context, service
from chassis.database import transaction
from chassis.networks import LOCAL
from microservice1 import database
from microservice1.errors import TooManyAttempts

FREE_TRIES_OF_ACCOUNT = 10
FREE_TRIES_OF_ADDRESS = 100  # an office or a mobile network shares one
LONGEST_WAIT_SECONDS = 300
FORGOTTEN_SECONDS = 3600
SLOTS = 2**17
KNOWN_DAYS = 30
KNOWN_ADDRESSES = 20  # of one user, the newest
MOST_ENTRIES = 100  # of failed sign-ins in the audit log, for one hour

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Count:
    """Where failures are counted. is_the_accounts: a success ends it."""

    key: bytes
    free_tries: int
    is_the_accounts: bool

    @property
    def slot(self):
        return int.from_bytes(self.key[:8]) % SLOTS


@dataclass(frozen=True, slots=True)
class Try:
    """One try that was let through. user: a User, or None where no account has that name."""

    user: object
    network: str
    counts: tuple


def admit(tx, username, user, network):
    """Let a try at a password through. Returns it, to be told how it ended.

    Args:
        username: as it was typed.
        user: the User of that name, or None. An unknown name is counted alike.
        network: see chassis.networks.

    Raises:
        TooManyAttempts: the wait after the last failure is not over.
    """
    counts = _counts(tx, username, user, network)
    for count in counts:
        found = database.find_guesses(tx, count.slot, count.key)
        if found is None or not 0 <= found.seconds_since <= FORGOTTEN_SECONDS:
            continue
        wait = seconds_to_wait(found.failures, count.free_tries)
        if found.seconds_since < wait:
            raise TooManyAttempts(wait - found.seconds_since)
        if wait and not database.claim_try(tx, count.slot, count.key, found.tried_at):
            raise TooManyAttempts(wait)  # another request was let through at this moment
    return Try(user, network, counts)


def failed(tried):
    """Count a wrong password. Logs whose account was tried."""
    log.warning("a password was wrong", extra={"user_id": tried.user and tried.user.id})
    with transaction() as tx:
        for count in tried.counts:
            database.count_failure(tx, count.slot, count.key, forgotten_seconds=FORGOTTEN_SECONDS)
        if tried.user and tried.user.role == "admin":
            database.count_failed_sign_in(
                tx, tried.user.id, tried.network, context.request_id.get(), most=MOST_ENTRIES
            )


def succeeded(tx, tried):
    """End the count of the account."""
    for count in tried.counts:
        if count.is_the_accounts:
            database.delete_guesses(tx, count.slot, count.key)


def remember_address(tx, tried):
    """Remember that the user has signed in from there."""
    address = _hmac("address", tried.network)
    database.remember_address(tx, tried.user.id, address)
    database.forget_addresses_of(tx, tried.user.id, days=KNOWN_DAYS, kept=KNOWN_ADDRESSES)


def seconds_to_wait(failures, free_tries):
    """Return how long the next try has to wait after so many failures in a row."""
    if failures < free_tries:
        return 0
    return min(LONGEST_WAIT_SECONDS, 2 ** min(failures - free_tries, 16))


def enter_failed_sign_ins():
    """Write the failed sign-ins of administrators into the audit log, once their hour has ended.

    An entry cannot be changed later, so none is written before its count is final.
    """
    with transaction() as tx:
        for found in database.take_failed_sign_ins(tx, most=MOST_ENTRIES):
            audit.record_failures(
                tx,
                f"address:{found.address}",
                "sign_in_failed",
                f"user/{found.user_id}",
                request_id=found.request_id,
                count=found.failures,
            )


def _counts(tx, username, user, network):
    name = (user.username if user else username).lower()
    address = _hmac("address", network)
    if user and database.is_known_address(tx, user.id, address, days=KNOWN_DAYS):
        return (Count(_hmac("both", f"{name} {network}"), FREE_TRIES_OF_ACCOUNT, True),)
    account = Count(_hmac("account", name), FREE_TRIES_OF_ACCOUNT, True)
    if network == LOCAL:
        return (account,)
    return (account, Count(address, FREE_TRIES_OF_ADDRESS, False))


def _hmac(kind, text):
    secret = service.current().secret(f"guessing: {kind}")
    return hmac.digest(secret, text.encode(), "sha256")[:16]
