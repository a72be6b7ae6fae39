"""Password reset by e-mail, or by the operator of the host.

Whoever reads an account's address can set its password by e-mail. So the owner of an address that
somebody else has registered takes the account over.
"""

import secrets

from chassis import audit, outbox, wire
from chassis.database import transaction
from chassis.errors import present
from microservice1 import database
from microservice1.logic import accounts, codes, passwords
from microservice1.logic.announcing import announce

LANE = "password_resets"


def ask(email):
    """Have the worker send a code, if an account has this address.

    The request does the same work for an unknown address, so neither its answer nor its time tells
    which addresses exist.
    """
    task = f"{LANE}/{secrets.token_hex(8)}"  # its own subject: no request waits for another
    with transaction() as tx:
        outbox.enqueue(tx, LANE, subject=task, message={"email": email})


def send_code(message):
    """Send the code that `ask` promised, unless the address is unknown or got enough of them."""
    with transaction() as tx:
        found = database.find_user_with_email(tx, wire.loads(message.body)["email"])
        user = found and database.lock_user(tx, found.id)
        code = user and codes.issue(tx, user, codes.PASSWORD_RESET)
        if code:
            announce(tx, "user.password_reset_requested", user, **code)


def reset(code, password):
    """Set a password by a code. Returns the user; ends all sessions and confirms the address.

    A pending address is called off: it may be a thief's. Raises BadCode or PasswordsBusy; after the
    latter the code is still valid.
    """
    codes.check(codes.PASSWORD_RESET, code)
    password_hash = passwords.hashed(password)
    with transaction() as tx:
        user = codes.use(tx, codes.PASSWORD_RESET, code)
        proven = {"email_confirmed": True, "pending_email": None}
        return accounts.write(tx, user, {**proven, "password_hash": password_hash})


def reset_as_operator(username, password):
    """Set a password without a code. Returns the user; ends all sessions and access tokens.

    A pending address is called off: a thief of the account may have entered it. Raises NotFound.
    """
    password_hash = passwords.hashed(password)
    with transaction() as tx:
        found = present(database.find_user_called(tx, username))
        user = present(database.lock_user(tx, found.id))
        audit.record(tx, "password.reset", f"user/{user.id}")
        return accounts.write(tx, user, {"password_hash": password_hash, "pending_email": None})
