"""Registration: by anybody where it is open, else by administrators."""

from contextlib import contextmanager

from chassis import audit, service
from chassis.database import Duplicate, transaction
from chassis.errors import Forbidden, Unauthenticated
from chassis.tokens import Identity
from microservice1 import database
from microservice1.errors import EmailTaken, UsernameTaken
from microservice1.logic import addresses, passwords
from microservice1.logic.rechecking import recheck
from microservice1.logic.status import status_for

_TAKEN = {
    "users_username_key": UsernameTaken,
    "users_email_key": EmailTaken,
    "users_mailbox_key": EmailTaken,
}


def register(caller, *, username, email, full_name=None, password=None, role=None, points=None):
    """Open an account. role and points are for administrators to give.

    An address counts as confirmed if an administrator enters it; else the welcome brings a code.

    The status that opening points bring is the one it begins with: that is no promotion.
    Raises Unauthenticated, TokenExpired, Forbidden, UsernameTaken or EmailTaken.
    """
    _check_may_register(caller, grants=role is not None or points is not None)
    _refuse_taken_names(username, email)
    password_hash = passwords.hashed(password) if password else None
    points = points or 0
    with transaction() as tx, names_are_free():
        if caller.is_admin:
            recheck(tx, caller)
        user = database.insert_user(
            tx,
            username=username,
            email=email,
            email_confirmed=caller.is_admin,
            full_name=full_name,
            password_hash=password_hash,
            role=role or "customer",
            points=points,
            status=status_for(points),
        )
        if points:
            database.insert_points_entry(
                tx,
                user.id,
                kind="opening",
                order_id=None,
                points=points,
                balance=points,
                reason="Opening points",
            )
        addresses.welcome(tx, user)
        audit.record(tx, "user.registered", f"user/{user.id}")
        return user


def _refuse_taken_names(username, email):
    """Refuse before a password is hashed and a row is written: both cost, and anybody may ask.

    A registration that overtakes this one is refused by the constraint.
    """
    with transaction() as tx:
        taken = database.find_taken_name(tx, username, email)
    if taken:
        raise _TAKEN[taken]


@contextmanager
def names_are_free():
    """Turn the database's word for a username or e-mail address that is taken into ours."""
    try:
        yield
    except Duplicate as duplicate:
        raise _TAKEN[duplicate.constraint] from None


def _check_may_register(caller, *, grants):
    if caller.is_admin:
        return
    if service.current().settings.registration == "admin":
        if caller == Identity():
            raise Unauthenticated
        raise Forbidden("Here only administrators register users")
    if grants:
        raise Forbidden("Only administrators give a role or points")
