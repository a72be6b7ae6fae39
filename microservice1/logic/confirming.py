"""Confirmation: a code from a letter shows that the account's holder reads its address."""

from chassis import audit
from chassis.database import transaction
from chassis.errors import present
from microservice1 import database
from microservice1.errors import CodesSent, NothingToConfirm
from microservice1.logic import accounts, addresses, codes
from microservice1.logic.rechecking import recheck
from microservice1.logic.registering import names_are_free


def confirm(code):
    """Confirm the address that the code was sent to. Returns the user.

    A pending address takes the place of the present one. Raises BadCode; or EmailTaken if another
    account got a pending address first, and then the code stays valid.
    """
    with transaction() as tx, names_are_free():
        user = codes.use(tx, codes.CONFIRMATION, code)
        return accounts.write(tx, user, addresses.confirmed(user))


def send_again(caller, user_id):
    """Send another code to the address that is to be confirmed; earlier ones stay valid.

    Returns the user. Raises NotFound, TokenExpired, NothingToConfirm or CodesSent.
    """
    accounts.check_may_see(caller, user_id)
    with transaction() as tx:
        user = present(database.lock_user(tx, user_id))
        recheck(tx, caller)
        if user.email_to_confirm is None:
            raise NothingToConfirm
        if not addresses.send_code(tx, user):
            raise CodesSent(codes.PERIOD.total_seconds())
        audit.record(tx, "confirmation.requested", f"user/{user_id}")
        return user
