"""Rechecking: the caller of a write still is what the access token says, in its transaction."""

from chassis.errors import TokenExpired
from microservice1 import database


def recheck(tx, caller):
    """Raise TokenExpired if the caller has lost the role, the account, or all tokens of that time.

    Call it after the row that is to be written was locked: a demotion that was first is seen then.
    Services and operators, who have no account, are let through.
    """
    if caller.user_id is not None and not database.is_still(
        tx, caller.user_id, role=caller.role, epoch=caller.epoch
    ):
        raise TokenExpired("The account is no longer what the access token says: sign in again")
