"""What other services hear of users: everything they need to keep their own copy in step."""

from chassis import outbox


def announce(tx, event_type, user):
    """Record an event about the user, to go out once the transaction is committed."""
    outbox.publish(
        tx,
        event_type,
        subject=f"user/{user.id}",
        data={
            "user_id": user.id,
            "username": user.username,
            "email": user.email,
            "full_name": user.full_name,
            "status": user.status,
            "version": user.version,
        },
        to=["microservice4"],
    )
