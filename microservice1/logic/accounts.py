"""Accounts: read, changed and deleted by their holders and by administrators."""

from functools import partial

from chassis import audit, rates, service
from chassis.database import transaction
from chassis.errors import Forbidden, NotFound, present
from chassis.mailboxes import identity
from chassis.pagination import page_of
from microservice1 import database
from microservice1.errors import LastAdmin, WrongPassword
from microservice1.logic import addresses, guessing, passwords, sessions
from microservice1.logic.announcing import announce
from microservice1.logic.rechecking import recheck
from microservice1.logic.registering import names_are_free

_EDITABLE = (
    "username",
    "email",
    "email_confirmed",
    "pending_email",
    "full_name",
    "password_hash",
    "role",
)
_FOR_ADMINS = {"username", "role"}
_COPIED_ELSEWHERE = ("username", "email", "email_confirmed", "full_name")
_SIGNING_IN = ("password_hash", "role")


def list_users(*, paging, email=None, **filters):
    mailbox = None if email is None else identity(email)
    filters = {**dict.fromkeys(("username", "status", "role")), "mailbox": mailbox, **filters}
    with transaction() as tx:
        return page_of(
            paging,
            count=partial(database.count_users, tx, **filters),
            rows=partial(database.list_users, tx, **filters),
        )


def has_admin():
    """Return whether the shop has an administrator."""
    with transaction() as tx:
        return database.count_users(tx, username=None, mailbox=None, status=None, role="admin") > 0


def get_user(caller, user_id):
    check_may_see(caller, user_id)
    with transaction() as tx:
        return present(database.find_user(tx, user_id))


def get_user_called(caller, username):
    with transaction() as tx:
        user = present(database.find_user_called(tx, username))
    check_may_see(caller, user.id)
    return user


def edit(
    caller,
    network,
    user_id,
    expected,
    *,
    email=None,
    password=None,
    current_password=None,
    **changes,
):
    """Change an account, and count its version up.

    Who is no administrator proves by the current password that a new one is theirs to set. Another
    password or role ends all sessions and access tokens, and another password calls a pending
    address off. network: see chassis.networks. expected: a chassis.conditional.Expected. Raises
    NotFound, TokenExpired, Forbidden, WrongPassword, TooManyAttempts, PreconditionFailed,
    UsernameTaken, EmailTaken, LastAdmin or TooManyRequests.
    """
    check_may_see(caller, user_id)
    if not caller.is_admin and _FOR_ADMINS & changes.keys():
        raise Forbidden("Only administrators change a username or a role")
    if password is not None:
        if not caller.is_admin:
            _check_password(user_id, current_password, network)
        changes["password_hash"] = passwords.hashed(password)

    with transaction() as tx, names_are_free():
        rates.count(tx, "edits", caller, service.current().settings.edits_per_minute)
        user = _lock(tx, caller, user_id, goes=changes.get("role") == "customer")
        expected.check(user.version, user.updated_at)
        audit.record(tx, "user.changed", f"user/{user_id}")
        if password is not None:
            changes["pending_email"] = None  # a thief of the session may have entered it
        if email is not None:
            changes |= addresses.entered(tx, caller, user, email)
        return write(tx, user, changes)


def delete(caller, user_id, expected):
    """Delete an account; its username and e-mail address become free.

    Raises NotFound, TokenExpired, LastAdmin or PreconditionFailed.
    """
    check_may_see(caller, user_id)
    with transaction() as tx:
        user = _lock(tx, caller, user_id, goes=True)
        expected.check(user.version, user.updated_at)
        sessions.end_all(tx, user_id)
        announce(tx, "user.deleted", database.delete_user(tx, user_id))
        audit.record(tx, "user.deleted", f"user/{user_id}")


def check_may_see(caller, user_id):
    """To a customer, other accounts do not exist."""
    if not (caller.is_admin or caller.service or caller.user_id == user_id):
        raise NotFound


def write(tx, user, changes):
    """Write changes, and do what follows from them. user: with their row locked."""
    kept = {name: getattr(user, name) for name in _EDITABLE}
    changed = database.update_user(tx, user.id, **(kept | changes))
    if _differ(user, changed, _SIGNING_IN):
        sessions.end_all(tx, user.id)
    if _differ(user, changed, _COPIED_ELSEWHERE):
        announce(tx, "user.updated", changed)
    addresses.send_letters(tx, user, changed)
    return changed


def _check_password(user_id, current_password, network):
    """A password that changes after this check ends the caller's token, which `_lock` notices."""
    if not current_password:
        raise WrongPassword
    with transaction() as tx:
        user = present(database.find_user(tx, user_id))
        tried = guessing.admit(tx, user.username, user, network)
    if passwords.confirmed(current_password, user.password_hash) is None:
        guessing.failed(tried)
        raise WrongPassword
    with transaction() as tx:
        guessing.succeeded(tx, tried)


def _lock(tx, caller, user_id, *, goes):
    """Return the user with their row locked.

    goes: whether they will be no administrator afterwards. The last one stays, also if two go at
    the same time: all administrators are locked then. Raises NotFound, TokenExpired or LastAdmin.
    """
    admins = []
    if goes:
        locked = database.lock_admins_and(tx, user_id)
        admins = [user.id for user in locked if user.role == "admin"]
    user = present(database.lock_user(tx, user_id))
    recheck(tx, caller)
    if admins == [user_id]:
        raise LastAdmin
    return user


def _differ(user, changed, names):
    return any(getattr(user, name) != getattr(changed, name) for name in names)
