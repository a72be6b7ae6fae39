"""API endpoints. Each one unpacks the request, calls one business function, and returns."""

from chassis.api import Blueprint
from chassis.auth import allow, callers
from chassis.conditional import conditional, conditional_file
from chassis.events import CONTENT_TYPE
from chassis.resources import created, paged
from chassis.uploads import upload
from microservice2.logic import catalogue, images, reserving, selling, stock
from microservice2.schemas import (
    CategoryView,
    NewProduct,
    OrderEvent,
    ProductChange,
    ProductFields,
    ProductIdsQuery,
    ProductQuery,
    ProductView,
    ReservationRequest,
    ReservationView,
    StockChange,
    StockEntryView,
    StockQuery,
)

FILE = {"type": "string", "format": "binary"}

products = Blueprint("products", __name__, url_prefix="/products", description="What is for sale")
categories = Blueprint("categories", __name__, url_prefix="/categories")
internal_products = Blueprint("internal products", __name__, url_prefix="/internal/products")
reservations = Blueprint("reservations", __name__, url_prefix="/internal/reservations")
events = Blueprint("events", __name__, url_prefix="/internal/events")

blueprints = (products, categories, internal_products, reservations, events)


@products.route("", methods=["POST"])
@allow("admin")
@conditional
@products.arguments(NewProduct)
@products.response(201, ProductView)
@products.alt_response(409, description="The sku is taken")
def create_product(body):
    """Add a product"""
    return created(catalogue.create_product(**body))


@products.route("", methods=["GET"])
@allow("anyone")
@products.arguments(ProductQuery, location="query")
@products.response(200, ProductView(many=True))
@products.alt_response(503, description="Too many search at this moment, or it takes too long")
def list_products(query):
    """List products"""
    return paged(catalogue.list_products(**query))


@products.route("/<int:product_id>", methods=["GET"])
@allow("anyone")
@conditional
@products.response(200, ProductView)
def get_product(product_id):
    """Show a product"""
    return catalogue.get_product(product_id)


@products.route("/<int:product_id>", methods=["PUT"])
@allow("admin")
@conditional
@products.arguments(ProductFields)
@products.response(200, ProductView)
@products.alt_response(409, description="The sku is taken")
def replace_product(body, product_id, expected):
    """Write a product anew; a description that is left out is cleared"""
    return catalogue.edit_product(product_id, expected, **body)


@products.route("/<int:product_id>", methods=["PATCH"])
@allow("admin")
@conditional
@products.arguments(ProductChange)
@products.response(200, ProductView)
@products.alt_response(409, description="The sku is taken")
def change_product(body, product_id, expected):
    """Change some fields of a product"""
    return catalogue.edit_product(product_id, expected, **body)


@products.route("/<int:product_id>", methods=["DELETE"])
@allow("admin")
@conditional
@products.response(204)
def delete_product(product_id, expected):
    """Remove a product; orders keep what they have written down of it"""
    catalogue.delete_product(product_id, expected)


@products.route("/<int:product_id>/image", methods=["PUT"])
@allow("admin")
@conditional_file
@upload("image/png", "image/jpeg", "image/webp")
@products.response(200, ProductView)
@products.alt_response(413, description="It is larger than 75 MB (78,643,200 bytes)")
@products.alt_response(415, description="It is declared as something else")
@products.alt_response(422, description="It is no image: `not_an_image`")
def put_image(product_id, expected, stream):
    """Give a product its image, or another one: PNG, JPEG or WebP, by content"""
    product, tag = images.put_image(product_id, expected, stream)
    return product, {"ETag": tag}


@products.route("/<int:product_id>/image", methods=["GET"])
@allow("anyone")
@conditional_file
@products.response(200, FILE, content_type="image/png")
@products.alt_response(200, schema=FILE, content_type="image/jpeg", success=True)
@products.alt_response(200, schema=FILE, content_type="image/webp", success=True)
@products.alt_response(404, description="There is no such product, or it has no image")
def get_image(product_id):
    """Show a product's image"""
    images.refuse_image(product_id)  # Nginx shows what there is, and asks for the rest


@products.route("/<int:product_id>/image", methods=["DELETE"])
@allow("admin")
@conditional_file
@products.response(204)
def delete_image(product_id, expected):
    """Remove a product's image"""
    images.delete_image(product_id, expected)


@products.route("/<int:product_id>/stock", methods=["POST"])
@allow("admin")
@conditional
@products.arguments(StockChange)
@products.response(200, ProductView)
@products.alt_response(409, description="Not enough is left, or the reference is taken")
def enter_stock(body, product_id):
    """Enter goods that came or went"""
    return stock.enter_stock(product_id, **body)


@products.route("/<int:product_id>/stock", methods=["GET"])
@allow("admin")
@products.arguments(StockQuery, location="query")
@products.response(200, StockEntryView(many=True))
def list_stock_entries(query, product_id):
    """List a product's stock entries"""
    return paged(stock.list_stock_entries(product_id, **query))


@categories.route("", methods=["GET"])
@allow("anyone")
@categories.response(200, CategoryView(many=True))
def list_categories():
    """List the categories, with how many products each has"""
    return catalogue.list_categories()


@internal_products.route("", methods=["GET"])
@callers("microservice3")
@internal_products.arguments(ProductIdsQuery, location="query")
@internal_products.response(200, ProductView(many=True))
def list_products_by_id(query):
    """List these products, as many of them as exist"""
    return catalogue.list_products_by_id(query["ids"])


@reservations.route("/<int:order_id>", methods=["PUT"])
@callers("microservice3")
@reservations.arguments(ReservationRequest)
@reservations.response(200, ReservationView)
@reservations.alt_response(409, description="Not enough stock, or the order was already given up")
def reserve_stock(body, order_id):
    """Set stock aside for an order"""
    return reserving.reserve(order_id, body["items"])


@reservations.route("/<int:order_id>", methods=["GET"])
@callers("microservice3")
@reservations.response(200, ReservationView)
def get_reservation(order_id):
    """Show what is set aside for an order"""
    return reserving.get_reservation(order_id)


@reservations.route("/<int:order_id>", methods=["DELETE"])
@callers("microservice3")
@reservations.response(200, ReservationView)
def release_stock(order_id):
    """Give back what was set aside for an order"""
    return reserving.release(order_id)


@events.route("", methods=["POST"])
@callers("microservice3")
@events.arguments(OrderEvent(many=True), content_type=CONTENT_TYPE)
@events.response(204)
def receive_events(events):
    """Take in what happened to orders: one event, or a batch"""
    selling.receive(events)
