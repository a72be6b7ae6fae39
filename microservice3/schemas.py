"""The wire: what comes in and goes out, its limits, and its words in OpenAPI."""

from datetime import UTC, datetime

from marshmallow import ValidationError, fields, post_load, validates

from chassis.fields import (
    Day,
    Instant,
    InstantOrDate,
    ListQuery,
    Many,
    ManyAsTheyAre,
    Money,
    Name,
    Query,
    Schema,
    Text,
    Whole,
    Word,
)
from microservice3.models import STATUSES

MOST_LINES = 1_000
MOST_UNITS = 1_000_000
MOST_POINTS = 1_000_000_000_000  # worth more than the largest order
EXPANSIONS = ("user", "products")
FIRST_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)  # earlier dates are errors of a clock or a format


class NewLine(Schema):
    product_id = Whole("The product's number", 1, required=True)
    quantity = Whole("How many", 2, max=MOST_UNITS, required=True)
    unit_price = Money("An administrator may set a price other than the product's", 24.90)


class NewOrder(Schema):
    samples = {
        "customer": {"items": [{"product_id": 1, "quantity": 2}]},
        "with points": {
            "items": [{"product_id": 1, "quantity": 2}],
            "redeem_points": 100,
            "reference": "PO-2041",
        },
        "administrator": {
            "items": [{"product_id": 1, "quantity": 2, "unit_price": 24.90}],
            "user_id": 1,
            "placed_at": "2026-01-31T09:30:00Z",
        },
    }

    items = Many(
        "What is ordered; lines are kept as they are sent, in their order",
        NewLine,
        min=1,
        max=MOST_LINES,
        required=True,
    )
    redeem_points = Whole(
        "Points to redeem: 100 are worth 1.00, up to the subtotal", 500, min=0, max=MOST_POINTS
    )
    reference = Name("Your own order number, unique for a user", "PO-2041", max=100)
    user_id = Whole("For whom; only an administrator may order for somebody else", 7)
    placed_at = Instant(
        "When it was ordered, if in the past; only an administrator may say", "2026-01-31T09:30:00Z"
    )

    @validates("placed_at")
    def _lies_in_the_past(self, value, **_):
        if value > datetime.now(UTC):
            raise ValidationError("Must not lie in the future.")
        if value < FIRST_MOMENT:
            raise ValidationError("Must not be before 1970.")


class LineView(Schema):
    product_id = Whole("The product's number", 1)
    sku = Text("Its sku when it was ordered; null while pending", "LAMP-1", max=64, allow_none=True)
    name = Text(
        "Its name when it was ordered; null while pending", "Desk lamp", max=200, allow_none=True
    )
    quantity = Whole("How many", 2)
    unit_price = Money("For one; null while pending", 29.90, allow_none=True)
    line_total = Money("For all of them; null while pending", 59.80, allow_none=True)


class OrderSummaryView(Schema):
    id = Whole("The order's number", 7)
    user_id = Whole("Whose it is", 7)
    status = Word("How far it has come", "confirmed", STATUSES)
    reason = Text("Why it was cancelled; null otherwise", None, max=1000, allow_none=True)
    subtotal = Money("Of all lines; null while pending", 59.80, allow_none=True)
    discount = Money("What is taken off", 0)
    total = Money("What is to be paid; null while pending", 59.80, allow_none=True)
    currency = Text("Of all amounts, ISO 4217", "EUR", max=3)
    redeem_points = Whole("How many points are redeemed", 0, min=0)
    reference = Text("The customer's own order number", "PO-2041", max=100, allow_none=True)
    version = Whole("Counts the changes of the order", 2)
    placed_at = Instant("When it was ordered", "2026-01-31T09:30:00Z")
    created_at = Instant("When it was entered", "2026-01-31T09:30:00Z")
    updated_at = Instant("When it last changed", "2026-01-31T09:30:00Z")


class OrderView(OrderSummaryView):
    items = ManyAsTheyAre("Its lines, in the order in which they were sent", LineView)


class ExpandedOrderView(OrderView):
    user = fields.Dict(
        allow_none=True,
        metadata={
            "description": "With expand=user: the user as Users shows it; null if deleted",
            "example": {"id": 7, "username": "ada"},
        },
    )
    products = fields.List(
        fields.Dict(),
        metadata={
            "description": "With expand=products: each product once, as Products shows it",
            "example": [{"id": 1, "sku": "LAMP-1"}],
        },
    )
    unavailable = fields.List(
        fields.String(),
        metadata={
            "description": "What could not be had just now; absent if nothing",
            "example": ["user"],
        },
    )


class OrderQuery(Query):
    expand = Text("What to show with it: `user`, `products` or both, with a comma", "user", max=50)

    @validates("expand")
    def _are_known(self, value, **_):
        if not set(value.split(",")) <= set(EXPANSIONS):
            raise ValidationError("May name user and products, with a comma between them.")

    @post_load
    def _split(self, query, **_):
        return {"expand": list(dict.fromkeys(filter(None, query.get("expand", "").split(","))))}


class Period(Query):
    """`from` is a word of Python's, so inside it is called `since`."""

    since = InstantOrDate("Placed at this moment or later", "2026-01-01", data_key="from")
    until = InstantOrDate("Placed before this moment", "2026-02-01", data_key="to")


class OrdersQuery(ListQuery, Period):
    user_id = Whole("Only this user's", 7)
    status = Word("Only with this status", "confirmed", STATUSES)
    reference = Text("Only with this reference", "PO-2041", max=100)


class SalesQuery(Period):
    reference_prefix = Text("Only orders whose reference begins so", "PO-", max=100)


class StatusChange(Schema):
    samples = {"customer": {"status": "cancelled"}, "administrator": {"status": "shipped"}}

    status = Word("The status wanted", "cancelled", STATUSES, required=True)


class ChangeView(Schema):
    at = Instant("When", "2026-01-31T09:30:00Z")
    from_status = Word(
        "The status before; null at the beginning",
        "pending",
        STATUSES,
        data_key="from",
        allow_none=True,
    )
    to_status = Word("The status after", "confirmed", STATUSES, data_key="to")
    reason = Text("Why, where there is more to say", None, max=1000, allow_none=True)


class DayOfSalesView(Schema):
    date = Day("The day on which the orders were placed, in UTC", "2026-01-31")
    orders = Whole("How many orders", 12)
    units = Whole("How many units", 40)
    revenue = Money("What they come to", 1299.00)
