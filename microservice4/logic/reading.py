"""What users may see: the notifications to themselves, and administrators all of them."""

from functools import partial

from chassis.database import transaction
from chassis.errors import NotFound
from chassis.pagination import page_of
from microservice4 import database

_FILTERS = ("user_id", "order_id", "status", "event_type")


def list_notifications(reader, *, paging, **filters):
    """Return a Page, newest first. reader: a chassis.tokens.Identity."""
    owner_id = None if reader.is_admin else reader.user_id
    filters = {"owner_id": owner_id, **dict.fromkeys(_FILTERS), **filters}
    with transaction() as tx:
        return page_of(
            paging,
            count=partial(database.count_notifications, tx, **filters),
            rows=partial(database.list_notifications, tx, **filters),
            key="created_at",
        )


def get_notification(reader, notification_id):
    with transaction() as tx:
        notification = database.find_notification(tx, notification_id)
    if notification is None or not (reader.is_admin or reader.user_id == notification.user_id):
        raise NotFound
    return notification
