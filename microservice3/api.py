"""API endpoints. Each one unpacks the request, calls one business function, and returns."""

from chassis.api import Blueprint
from chassis.auth import allow, identity
from chassis.conditional import conditional
from chassis.idempotent_routes import answered_again_by
from chassis.resources import created, paged
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
@orders.arguments(NewOrder)
@orders.response(201, OrderView, description="The order is confirmed")
@orders.alt_response(
    202, schema=OrderView, description="A neighbour has not answered yet; the order ends by itself"
)
@orders.alt_response(409, description="Not enough stock or points, or the reference is taken")
@orders.alt_response(429, description="More orders in a minute than one customer may place")
def place_order(body):
    """Place an order"""
    return _placed(placing.place(identity(), **body))


@orders.route("", methods=["GET"])
@allow("user")
@orders.arguments(OrdersQuery, location="query")
@orders.response(200, OrderSummaryView(many=True))
def list_orders(query):
    """List orders, newest first: one's own, or all for an administrator"""
    return paged(reading.list_orders(identity(), **query))


@orders.route("/<int:order_id>", methods=["GET"])
@allow("user")
@conditional
@orders.arguments(OrderQuery, location="query")
@orders.response(200, ExpandedOrderView)
def get_order(query, order_id):
    """Show an order"""
    return reading.get_order(identity(), order_id, query["expand"])


@orders.route("/<int:order_id>", methods=["PATCH"])
@allow("user")
@conditional
@orders.arguments(StatusChange)
@orders.response(200, OrderView)
@orders.alt_response(
    202, schema=OrderView, description="The order is being cancelled; it ends by itself"
)
@orders.alt_response(409, description="The order cannot take this step")
def change_order(body, order_id, expected):
    """Ship, deliver or cancel an order"""
    order = changing.change_status(identity(), order_id, body["status"], expected)
    return order, 202 if order["status"] == "cancelling" else 200


@orders.route("/<int:order_id>/history", methods=["GET"])
@allow("user")
@orders.response(200, ChangeView(many=True))
def get_history(order_id):
    """Show every change of an order's status"""
    return reading.get_history(identity(), order_id)


@reports.route("/sales", methods=["GET"])
@allow("admin")
@reports.arguments(SalesQuery, location="query")
@reports.response(200, DayOfSalesView(many=True))
def report_sales(query):
    """Show what was sold, by the day on which it was ordered"""
    return reporting.sales(**query)


def _placed(order):
    return created(order, 202 if order["status"] == "pending" else 201)
