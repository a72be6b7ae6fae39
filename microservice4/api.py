"""API endpoints. Each one unpacks the request, calls one business function, and returns."""

from chassis.api import Blueprint
from chassis.auth import allow, callers, identity
from chassis.conditional import conditional
from chassis.events import CONTENT_TYPE
from chassis.resources import paged
from microservice4.logic import reading, receiving, retrying
from microservice4.schemas import NotificationQuery, NotificationView, ShopEvent

notifications = Blueprint(
    "notifications", __name__, url_prefix="/notifications", description="What users were told"
)
events = Blueprint("events", __name__, url_prefix="/internal/events")

blueprints = (notifications, events)


@notifications.route("", methods=["GET"])
@allow("user")
@notifications.arguments(NotificationQuery, location="query")
@notifications.response(200, NotificationView(many=True))
def list_notifications(query):
    """List notifications, newest first: one's own, or all for an administrator"""
    return paged(reading.list_notifications(identity(), **query))


@notifications.route("/<int:notification_id>", methods=["GET"])
@allow("user")
@conditional
@notifications.response(200, NotificationView)
def get_notification(notification_id):
    """Show a notification"""
    return reading.get_notification(identity(), notification_id)


@notifications.route("/<int:notification_id>/retry", methods=["POST"])
@allow("admin")
@conditional
@notifications.response(202, NotificationView)
@notifications.alt_response(
    409, description="It is neither queued nor has it failed, or its code is deleted"
)
def retry_notification(notification_id):
    """Send a queued or failed notification now, to the address that is known today"""
    return retrying.retry(notification_id)


@notifications.route("/<int:notification_id>/give-up", methods=["POST"])
@allow("admin")
@conditional
@notifications.response(200, NotificationView)
@notifications.alt_response(409, description="It is not queued")
def give_up_notification(notification_id):
    """Never send a queued notification: it becomes `suppressed`"""
    return retrying.give_up(notification_id)


@events.route("", methods=["POST"])
@callers("microservice1", "microservice3")
@events.arguments(ShopEvent(many=True), content_type=CONTENT_TYPE)
@events.response(204)
def receive_events(events):
    """Take in what happened to users and orders: one event, or a batch"""
    receiving.receive(events)
