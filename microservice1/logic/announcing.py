"""What other services hear of users: everything they need to keep their own copy in step."""

from chassis import outbox

_REPLACEABLE = {"user.updated"}  # no e-mail is sent for it: only the latest state matters


def announce(tx, event_type, user, **facts):
    """Record an event about the user, to go out once the transaction is committed.

    user: with their row locked. facts: what this type of event tells beside the user's own fields.
    """
    publish = outbox.publish_latest if event_type in _REPLACEABLE else outbox.publish
    publish(
        tx,
        event_type,
        subject=f"user/{user.id}",
        data={
            "user_id": user.id,
            "username": user.username,
            "email": user.email,
            "email_confirmed": user.email_confirmed,
            "full_name": user.full_name,
            "status": user.status,
            "version": user.version,
            **facts,
        },
        to=["microservice4"],
    )


def announce_deletion(tx, user_id, deleted):
    """Record that a user does not exist. deleted: a DeletedUser, None if nothing more is known."""
    outbox.publish(
        tx,
        "user.deleted",
        subject=f"user/{user_id}",
        data={
            "user_id": user_id,
            "version": deleted and deleted.version,
            "deleted_at": deleted and deleted.deleted_at,
        },
        to=["microservice4"],
    )
