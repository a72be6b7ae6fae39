"""Single-use codes: a letter carries one, and the answer with it proves who reads the address.

A code has 128 bits, so guessing it is hopeless, and a fast hash of it is as good as a slow one. The
database keeps that hash alone; the code itself is in the event that asks for the letter.
"""

import hashlib
import secrets
from datetime import timedelta

from chassis.database import transaction
from chassis.mailboxes import identity
from microservice1 import database
from microservice1.errors import BadCode

CONFIRMATION, PASSWORD_RESET = "confirmation", "password_reset"
VALID_FOR = {CONFIRMATION: timedelta(days=7), PASSWORD_RESET: timedelta(minutes=30)}

# An address that has got so many still has a valid one, so its owner is never shut out by a flood.
MOST_CODES, PERIOD = 3, VALID_FOR[PASSWORD_RESET]


# What each purpose proves. A code for an address that was replaced since proves nothing.
_PROVES = {
    CONFIRMATION: lambda user: user.email_to_confirm,
    PASSWORD_RESET: lambda user: user.email,
}


def issue(tx, user, purpose):
    """Return the facts by which a letter takes a new code to its address.

    user: with their row locked. Returns None if MOST_CODES were issued within PERIOD.
    """
    email = _PROVES[purpose](user)
    mailbox = identity(email)
    issued = database.count_codes(tx, user.id, purpose=purpose, mailbox=mailbox, within=PERIOD)
    if issued >= MOST_CODES:
        return None
    code = secrets.token_hex(16)
    database.delete_codes_for_other_mailboxes(tx, user.id, purpose=purpose, mailbox=mailbox)
    stored = database.insert_code(
        tx,
        user.id,
        purpose=purpose,
        mailbox=mailbox,
        code_hash=_hash_of(code),
        valid_for=VALID_FOR[purpose],
    )
    return {
        "recipient": email,
        "recipient_confirmed": user.email_confirmed and email == user.email,
        "code": code,
        "code_expires_at": stored.expires_at,
    }


def check(purpose, code):
    """Raise BadCode unless the code is valid at this moment; it stays valid."""
    with transaction() as tx:
        _find(tx, purpose, code)


def use(tx, purpose, code):
    """Use up a code, with all others of its user for that purpose. Raises BadCode.

    Returns the user, their row locked: of two requests with the same code the second finds none.
    """
    user = database.lock_user(tx, _find(tx, purpose, code).user_id)
    sent_to = _find(tx, purpose, code).email
    proven = user and _PROVES[purpose](user)
    if proven is None or identity(proven) != identity(sent_to):
        raise BadCode
    database.delete_codes(tx, user.id, purpose)
    return user


def _find(tx, purpose, code):
    found = database.find_code(tx, purpose, _hash_of(code))
    if found is None:
        raise BadCode
    return found


def _hash_of(code):
    return hashlib.sha256(code.encode()).digest()
