"""Accounts: read, changed and deleted by their holders and by administrators."""

from functools import partial

from chassis import audit
from chassis.database import transaction
from chassis.errors import Forbidden, NotFound, present
from chassis.pagination import page_of
from microservice1 import database
from microservice1.errors import LastAdmin, WrongPassword
from microservice1.logic import passwords
from microservice1.logic.announcing import announce
from microservice1.logic.registering import names_are_free

_EDITABLE = ("username", "email", "full_name", "password_hash", "role")
_FOR_ADMINS = {"username", "role"}
_COPIED_ELSEWHERE = ("username", "email", "full_name")
_SIGNING_IN = ("password_hash", "role")


def list_users(*, paging, **filters):
    filters = {**dict.fromkeys(("username", "email", "status", "role")), **filters}
    with transaction() as tx:
        return page_of(
            paging,
            count=partial(database.count_users, tx, **filters),
            rows=partial(database.list_users, tx, **filters),
        )


def has_admin():
    """Return whether the shop has an administrator."""
    with transaction() as tx:
        return database.count_users(tx, username=None, email=None, status=None, role="admin") > 0


def get_user(caller, user_id):
    _check_may_see(caller, user_id)
    with transaction() as tx:
        return present(database.find_user(tx, user_id))


def get_user_called(caller, username):
    with transaction() as tx:
        user = present(database.find_user_called(tx, username))
    _check_may_see(caller, user.id)
    return user


def edit(caller, user_id, expected, *, password=None, current_password=None, **changes):
    """Change an account, and count its version up.

    Who is no administrator proves by the current password that a new one is theirs to set. Another
    password or role ends all sessions. expected: a chassis.conditional.Expected. Raises NotFound,
    Forbidden, WrongPassword, PreconditionFailed, UsernameTaken, EmailTaken or LastAdmin.
    """
    _check_may_see(caller, user_id)
    if not caller.is_admin and _FOR_ADMINS & changes.keys():
        raise Forbidden("Only administrators change a username or a role")
    proven = None
    if password is not None:
        if not caller.is_admin:
            proven = _proven_hash(user_id, current_password)
        changes["password_hash"] = passwords.hashed(password)

    with transaction() as tx, names_are_free():
        if changes.get("role") == "customer":
            _keep_an_admin(tx, user_id)
        user = present(database.lock_user(tx, user_id))
        expected.check(user.version)
        if proven is not None and user.password_hash != proven:
            raise WrongPassword  # it was changed a moment ago
        audit.record(tx, "user.changed", f"user/{user_id}")
        return _write(tx, user, changes)


def delete(caller, user_id, expected):
    """Delete an account; its username and e-mail address become free.

    Raises NotFound, LastAdmin or PreconditionFailed.
    """
    _check_may_see(caller, user_id)
    with transaction() as tx:
        _keep_an_admin(tx, user_id)
        expected.check(present(database.lock_user(tx, user_id)).version)
        announce(tx, "user.deleted", database.delete_user(tx, user_id))
        audit.record(tx, "user.deleted", f"user/{user_id}")


def _check_may_see(caller, user_id):
    """To a customer, other accounts do not exist."""
    if not (caller.is_admin or caller.service or caller.user_id == user_id):
        raise NotFound


def _write(tx, user, changes):
    """Write changes, and do what follows from them. user: with their row locked."""
    kept = {name: getattr(user, name) for name in _EDITABLE}
    changed = database.update_user(tx, user.id, **(kept | changes))
    if _differ(user, changed, _SIGNING_IN):
        database.delete_sessions_of(tx, user.id)
    if _differ(user, changed, _COPIED_ELSEWHERE):
        announce(tx, "user.updated", changed)
    return changed


def _proven_hash(user_id, current_password):
    with transaction() as tx:
        user = present(database.find_user(tx, user_id))
    if not passwords.matches(current_password or "", user.password_hash):
        raise WrongPassword
    return user.password_hash


def _keep_an_admin(tx, user_id):
    """Let nobody take the last administrator away, two who go at the same time included."""
    locked = database.lock_admins_and(tx, user_id)
    if [user.id for user in locked if user.role == "admin"] == [user_id]:
        raise LastAdmin


def _differ(user, changed, names):
    return any(getattr(user, name) != getattr(changed, name) for name in names)
