"""Settling: one service alone was restored, and Notifications is made to know the users that exist.

What Users knows of a user counts. But a deletion that only Notifications remembers is done again:
its user was told that it is final.
"""

from chassis import audit
from chassis.database import transaction
from microservice1 import database
from microservice1.errors import LastAdmin
from microservice1.logic.announcing import announce, announce_deletion

ANNOUNCED_AT_ONCE = 100
RAISED_AT_ONCE = 1000


def announce_again(user_ids):
    """Tell Notifications what is known of these users: name and address, or that they are deleted.

    In pieces, so that a million users take many transactions; a second call changes nothing.
    """
    for first in range(0, len(user_ids), ANNOUNCED_AT_ONCE):
        with transaction() as tx:
            for user_id in user_ids[first : first + ANNOUNCED_AT_ONCE]:
                user = database.find_user(tx, user_id)
                if user is None:
                    announce_deletion(tx, user_id, database.find_deleted_user(tx, user_id))
                else:
                    announce(tx, "user.updated", user)


def delete_again(user_id):
    """Delete a user whom Users knows from a backup only. Raises LastAdmin."""
    with transaction() as tx:
        locked = database.lock_admins_and(tx, user_id)
        if [user.id for user in locked if user.role == "admin"] == [user_id]:
            raise LastAdmin
        user = database.delete_user(tx, user_id)
        if user is not None:
            announce(tx, "user.deleted", user)
            audit.record(tx, "user.deleted", f"user/{user_id}")


def raise_versions(by):
    """Raise the versions of all users, in pieces: no version that was told is given out again."""
    last = 0
    while last is not None:
        with transaction() as tx:
            last = database.raise_versions(tx, after=last, by=by, most=RAISED_AT_ONCE)
