"""E-mail addresses: what becomes of one that is entered, and the letters that follow from it.

An address that an administrator enters counts as confirmed. One that its holder enters takes the
place of an unconfirmed one at once, and of a confirmed one when it is confirmed; until then it is
pending. A pending address reserves nothing: whoever confirms or registers it first has it.
"""

from chassis.mailboxes import identity
from microservice1 import database
from microservice1.errors import EmailTaken
from microservice1.logic import codes
from microservice1.logic.announcing import announce


def entered(tx, caller, user, email):
    """Return the fields of the account that follow from an address. Raises EmailTaken.

    The present address, in any spelling, calls a pending one off.
    """
    if caller.is_admin:
        return _confirmed(email)
    if identity(email) == identity(user.email):
        return {"email": email, "pending_email": None}
    if not user.email_confirmed:
        return {"email": email}
    if database.find_user_with_email(tx, email) is not None:
        raise EmailTaken
    return {"pending_email": email}


def confirmed(user):
    """Return the fields of an account whose address was confirmed just now."""
    return _confirmed(user.email_to_confirm)


def welcome(tx, user):
    """Tell of a new account. An unconfirmed address gets a code with its welcome."""
    code = {} if user.email_confirmed else codes.issue(tx, user, codes.CONFIRMATION)
    announce(tx, "user.registered", user, **code)


def send_letters(tx, before, after):
    """Send what follows from a change: a code to the new address, a warning to the old one."""
    if after.email_to_confirm not in (None, before.email_to_confirm):
        send_code(tx, after)
    if after.pending_email is not None and before.pending_email is None:
        old = {"recipient": after.email, "recipient_confirmed": True}
        announce(tx, "user.email_change_requested", after, **old)


def send_code(tx, user):
    """Send a code to the address that is to be confirmed. False if it got enough of them lately."""
    code = codes.issue(tx, user, codes.CONFIRMATION)
    if code is not None:
        announce(tx, "user.confirmation_requested", user, **code)
    return code is not None


def _confirmed(email):
    return {"email": email, "email_confirmed": True, "pending_email": None}
