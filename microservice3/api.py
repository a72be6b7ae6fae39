"""API endpoints. Each one unpacks the request, calls one business function, and returns."""

from chassis.api import Blueprint
from chassis.auth import allow, identity
from chassis.conditional import conditional
from chassis.errors import Forbidden, TooManyRequests
from chassis.idempotent_routes import answered_again_by
from chassis.resources import created, paged
from microservice3.errors import (
    InvalidTransition,
    NotEnoughPoints,
    OutOfStock,
    ProductNotFound,
    RedeemTooMuch,
    ReferenceInProgress,
    ReferenceTaken,
    TooLate,
    TotalTooLarge,
    UserNotFound,
)
from microservice3.logic import changing, placing, reading, reporting
from microservice3.schemas import (
    ChangeView,
    DayOfSalesView,
    ExpandedOrderView,
    NewOrder,
    OrderQuery,
    OrdersQuery,
    OrderSummaryView,
    OrderView,
    SalesQuery,
    StatusChange,
)

orders = Blueprint("orders", __name__, url_prefix="/orders", description="What was bought")
reports = Blueprint("reports", __name__, url_prefix="/reports", description="What was sold")

blueprints = (orders, reports)


@conditional
@orders.response(201, OrderView)
def show_outcome(order_id):
    return _placed(placing.outcome(order_id))


@orders.route("", methods=["POST"])
@allow("user")
@conditional
@answered_again_by(show_outcome)
@orders.raises(
    Forbidden,
    OutOfStock,
    NotEnoughPoints,
    ReferenceTaken,
    TooLate,
    ProductNotFound,
    UserNotFound,
    RedeemTooMuch,
    TotalTooLarge,
    TooManyRequests,
    ReferenceInProgress,
)
@orders.arguments(NewOrder)
@orders.response(201, OrderView, description="The order is confirmed")
@orders.alt_response(
    202,
    schema=OrderView,
    description="The order is pending, because another service has not answered yet. It is "
    "confirmed or cancelled by itself: follow `Location` to see which",
)
def place_order(body):
    """Place an order

    Orders products for the caller, for all lines or for none. Stock and points are taken, and an
    e-mail tells the customer. Only an administrator may order for another user, at another price,
    or with a date in the past. Send an `Idempotency-Key`, so that a repeat orders nothing twice.
    """
    return _placed(placing.place(identity(), **body))


@orders.route("", methods=["GET"])
@allow("user")
@orders.arguments(OrdersQuery, location="query")
@orders.response(200, OrderSummaryView(many=True))
def list_orders(query):
    """List orders, newest first: one's own, or all for an administrator

    The entries have no `items`; `GET /orders/{order_id}` shows them.
    """
    return paged(reading.list_orders(identity(), **query))


@orders.route("/<int:order_id>", methods=["GET"])
@allow("user")
@conditional
@orders.arguments(OrderQuery, location="query")
@orders.response(200, ExpandedOrderView)
def get_order(query, order_id):
    """Show an order

    Shows an order with its lines, at the names and prices of the day on which it was placed. With
    `expand`, the user and the products come with it, as they are today. To a customer, the orders
    of others do not exist (404).
    """
    return reading.get_order(identity(), order_id, query["expand"])


@orders.route("/<int:order_id>", methods=["PATCH"])
@allow("user")
@conditional
@orders.raises(Forbidden, InvalidTransition)
@orders.arguments(StatusChange)
@orders.response(200, OrderView)
@orders.alt_response(
    202,
    schema=OrderView,
    description="The order is `cancelling`, because another service has not answered yet. It is "
    "cancelled by itself",
)
def change_order(body, order_id, expected):
    """Ship, deliver or cancel an order

    A customer may set their own order to `cancelled` while it is pending or confirmed; stock and
    points are given back. An administrator may cancel any, and set a confirmed order to `shipped`
    and then to `delivered`. To set the status that an order has already changes nothing.
    """
    order = changing.change_status(identity(), order_id, body["status"], expected)
    return order, 202 if order["status"] == "cancelling" else 200


@orders.route("/<int:order_id>/history", methods=["GET"])
@allow("user")
@orders.response(200, ChangeView(many=True))
def get_history(order_id):
    """Show every change of an order's status

    Lists when the order took which status, and why, from the beginning. The list is not paged.
    """
    return reading.get_history(identity(), order_id)


@reports.route("/sales", methods=["GET"])
@allow("admin")
@reports.arguments(SalesQuery, location="query")
@reports.response(200, DayOfSalesView(many=True))
def report_sales(query):
    """Show what was sold, by the day on which it was ordered

    Adds up orders that are confirmed, shipped or delivered, for each day in UTC. Days without
    orders are left out, and the list is not paged.
    """
    return reporting.sales(**query)


def _placed(order):
    return created(order, 202 if order["status"] == "pending" else 201)
