"""API endpoints. Each one unpacks the request, calls one business function, and returns."""

from chassis.api import Blueprint
from chassis.auth import allow, callers, identity
from chassis.conditional import conditional
from chassis.events import CONTENT_TYPE
from chassis.resources import paged
from microservice4.errors import CodeForgotten, NotFailed, NotQueued
from microservice4.logic import reading, receiving, retrying
from microservice4.schemas import NotificationQuery, NotificationView, ShopEvent

notifications = Blueprint(
    "notifications", __name__, url_prefix="/notifications", description="What users were told"
)
events = Blueprint(
    "events", __name__, url_prefix="/internal/events", description="Events of other services"
)

blueprints = (notifications, events)


@notifications.route("", methods=["GET"])
@allow("user")
@notifications.arguments(NotificationQuery, location="query")
@notifications.response(200, NotificationView(many=True))
def list_notifications(query):
    """List notifications, newest first: one's own, or all for an administrator

    A notification is an e-mail that was sent, waits, has failed, or is kept back. Old ones are
    deleted after the time that the operator has set.
    """
    return paged(reading.list_notifications(identity(), **query))


@notifications.route("/<int:notification_id>", methods=["GET"])
@allow("user")
@conditional
@notifications.response(200, NotificationView)
def get_notification(notification_id):
    """Show a notification

    Shows an e-mail with its text, and what became of it. To a customer, those of others do not
    exist (404).
    """
    return reading.get_notification(identity(), notification_id)


@notifications.route("/<int:notification_id>/retry", methods=["POST"])
@allow("admin")
@conditional
@notifications.raises(NotFailed, CodeForgotten)
@notifications.response(202, NotificationView)
def retry_notification(notification_id):
    """Send a notification now

    Sends a queued or failed e-mail at once, to the address that is known today.
    """
    return retrying.retry(notification_id)


@notifications.route("/<int:notification_id>/give-up", methods=["POST"])
@allow("admin")
@conditional
@notifications.raises(NotQueued)
@notifications.response(200, NotificationView)
def give_up_notification(notification_id):
    """Give up a notification

    A queued e-mail is never sent: it becomes `suppressed`.
    """
    return retrying.give_up(notification_id)


@events.route("", methods=["POST"])
@callers("microservice1", "microservice3")
@events.arguments(ShopEvent(many=True), content_type=CONTENT_TYPE)
@events.response(204)
def receive_events(events):
    """Take in what happened to users and orders: one event, or a batch

    Each event becomes at most one e-mail. An event that comes again changes nothing.
    """
    receiving.receive(events)
