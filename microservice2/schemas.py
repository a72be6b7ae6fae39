"""The wire: what comes in and goes out, its limits, and its words in OpenAPI."""

import re

from marshmallow import ValidationError, post_load, validates

from chassis import service
from chassis.events import CloudEvent, Facts
from chassis.fields import (
    LARGEST_ID,
    Change,
    Currency,
    Flag,
    FreeText,
    Instant,
    ListQuery,
    Many,
    Money,
    Name,
    Query,
    Rows,
    Schema,
    Text,
    Whole,
    Word,
)

MOST_UNITS = 1_000_000_000
MOST_LINES = 1_000
MOST_WORDS = 8
SORTS = ("price_asc", "price_desc", "name", "newest", "popular")


class Description(FreeText):
    """A product's description, which may be empty: null clears it."""

    def __init__(self, **arguments):
        super().__init__(
            "More about it; null clears it",
            "Warm white, dimmable",
            min=0,
            max=10_000,
            allow_none=True,
            **arguments,
        )

    def deserialize(self, value, attr=None, data=None, **kwargs):
        return super().deserialize("" if value is None else value, attr, data, **kwargs)


_LAMP = {
    "sku": "LAMP-1",
    "name": "Desk lamp",
    "description": "Warm white, dimmable",
    "category": "Lighting",
    "price": 29.90,
}


class ProductFields(Schema):
    samples = {"administrator": _LAMP}

    sku = Name("The shop's own code; upper and lower case differ", "LAMP-1", max=64, required=True)
    name = Name("What customers see", "Desk lamp", max=200, required=True)
    description = Description(load_default="")
    category = Name("Where it is found", "Lighting", max=100, required=True)
    price = Money("For one unit", 29.90, required=True)


class NewProduct(ProductFields):
    samples = {"administrator": {**_LAMP, "stock": 100}}

    stock = Whole("How many there are to begin with", 100, min=0, max=MOST_UNITS, required=True)


class ProductChange(Change):
    samples = {"administrator": {"price": 24.90}}

    sku = Name("The shop's own code; upper and lower case differ", "LAMP-1", max=64)
    name = Name("What customers see", "Desk lamp", max=200)
    description = Description()
    category = Name("Where it is found", "Lighting", max=100)
    price = Money("For one unit", 24.90)


class ImageUrl(Text):
    """Computed: an image has the address of its product, and /image."""

    _CHECK_ATTRIBUTE = False

    def _serialize(self, value, attr, obj, **kwargs):
        prefix = service.current().settings.prefix
        return f"{prefix}/products/{obj.id}/image" if obj.has_image else None


class Numbered(Schema):
    id = Whole("The product's number", 1)


class ProductView(ProductFields, Numbered):
    currency = Currency("Of the price, ISO 4217")
    stock = Whole("How many can still be sold", 100, min=0)
    units_sold = Whole("How many are in confirmed orders; follows within seconds", 12, min=0)
    image_url = ImageUrl(
        "Where its image is; null without one",
        "/api/service2/products/1/image",
        max=200,
        allow_none=True,
    )
    version = Whole("Counts the edits of the product, not its sales", 1)
    created_at = Instant("When it was added", "2026-01-31T09:30:00Z")
    updated_at = Instant("When it last changed", "2026-01-31T09:30:00Z")


class ProductQuery(ListQuery):
    category = Text("Exactly this category", "Lighting", max=100)
    q = Text(
        "Up to 8 words; each must occur in name, description or sku, in any case. Words of one "
        "letter are ignored",
        "desk",
        max=200,
    )
    sku = Text("Exactly this sku", "LAMP-1", max=64)
    min_price = Money("This price or more", 10)
    max_price = Money("This price or less", 50)
    in_stock = Flag("Only what can, or cannot, be bought now", True)
    sort = Word("In which order; without it, by id", "price_asc", SORTS)

    @validates("q")
    def _has_few_words(self, value, **_):
        if len(_words(value)) > MOST_WORDS:
            raise ValidationError(f"May have {MOST_WORDS} words at most.")

    @post_load
    def _split(self, query, **_):
        return {**query, "q": _words(query.get("q", ""))}


class ProductIdsQuery(Query):
    ids = Text("Up to 100 numbers, with commas", "1,2,3", max=2000, required=True)

    @validates("ids")
    def _are_numbers(self, value, **_):
        if not re.fullmatch(r"[0-9]{1,19}(,[0-9]{1,19}){0,99}", value):
            raise ValidationError("Must be up to 100 numbers, with commas between them.")

    @post_load
    def _split(self, query, **_):
        numbers = map(int, query["ids"].split(","))
        return {"ids": [number for number in numbers if number <= LARGEST_ID]}


class StockChange(Schema):
    samples = {"administrator": {"delta": 50, "reason": "Delivery"}}

    delta = Whole(
        "How many came, or with a minus went; not 0",
        50,
        min=-MOST_UNITS,
        max=MOST_UNITS,
        required=True,
    )
    reason = FreeText("Why", "Delivery", max=500, required=True)
    reference = Name("Your own number for it, unique for the product", "DN-2041", max=100)

    @validates("delta")
    def _changes_something(self, value, **_):
        if value == 0:
            raise ValidationError("Must not be 0.")


class StockQuery(ListQuery):
    reference = Text("Only the entry with this reference", "DN-2041", max=100)


class StockEntryView(Schema):
    id = Whole("The entry's number", 1)
    delta = Whole("How many came, or with a minus went", 50, min=-MOST_UNITS)
    reason = Text("Why", "Delivery", max=500)
    reference = Text("The number given with it", "DN-2041", max=100, allow_none=True)
    created_at = Instant("When", "2026-01-31T09:30:00Z")


class CategoryView(Schema):
    category = Text("Its name", "Lighting", max=100)
    products = Whole("How many products it has", 12)


class ReservationItem(Schema):
    product_id = Whole("The product's number", 1, required=True)
    quantity = Whole("How many", 2, max=1_000_000, required=True)


class ReservationRequest(Schema):
    items = Many(
        "The order's lines; a product may repeat",
        ReservationItem,
        min=1,
        max=MOST_LINES,
        required=True,
    )


class ReservationView(Schema):
    order_id = Whole("The order's number", 7)
    state = Word("What became of it", "held", ["held", "released", "refused"])
    items = Rows(
        "An entry for each line that was asked for, in its order; sku, name and price are today's",
        {"product_id": 1, "quantity": 2, "sku": "LAMP-1", "name": "Desk lamp", "price": 29.90},
        {},
    )


class OrderFacts(Facts):
    order_id = Whole("The order's number", 7, required=True)
    items = Rows(
        "Its lines",
        {"product_id": 1, "quantity": 2},
        {"product_id": int, "quantity": int},
        required=True,
    )


class OrderEvent(CloudEvent):
    FACTS = dict.fromkeys(("order.confirmed", "order.cancelled"), OrderFacts())


def _words(text):
    """Words of one letter are in nearly every product: they cost a search and find nothing."""
    return [word for word in text.split() if len(word) > 1]
