"""API endpoints. Each one unpacks the request, calls one business function, and returns."""

from chassis.api import Blueprint
from chassis.auth import allow, callers
from chassis.conditional import conditional, conditional_file
from chassis.errors import TooLarge
from chassis.events import CONTENT_TYPE
from chassis.image_store import StorageFailed
from chassis.images import NotAnImage
from chassis.resources import created, paged
from chassis.uploads import upload
from microservice2.errors import (
    OutOfStock,
    ProductNotFound,
    ReferenceTaken,
    SearchesBusy,
    SkuTaken,
    TooLate,
)
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
categories = Blueprint(
    "categories", __name__, url_prefix="/categories", description="How the products are grouped"
)
internal_products = Blueprint(
    "products by number",
    __name__,
    url_prefix="/internal/products",
    description="Many products in one request",
)
reservations = Blueprint(
    "reservations",
    __name__,
    url_prefix="/internal/reservations",
    description="Stock that orders hold",
)
events = Blueprint(
    "events", __name__, url_prefix="/internal/events", description="Events of other services"
)

blueprints = (products, categories, internal_products, reservations, events)


@products.route("", methods=["POST"])
@allow("admin")
@conditional
@products.raises(SkuTaken)
@products.arguments(NewProduct)
@products.response(201, ProductView)
def create_product(body):
    """Add a product

    Adds a product with its opening stock. It can be ordered at once.
    """
    return created(catalogue.create_product(**body))


@products.route("", methods=["GET"])
@allow("anyone")
@products.raises(SearchesBusy)
@products.arguments(ProductQuery, location="query")
@products.response(200, ProductView(many=True))
def list_products(query):
    """List products

    Lists what is for sale. Every filter narrows the list; without `sort` it goes by number, and a
    search by `q` has the best matches first. Without a token the answer may be one second old.
    """
    return paged(catalogue.list_products(**query))


@products.route("/<int:product_id>", methods=["GET"])
@allow("anyone")
@conditional
@products.response(200, ProductView)
def get_product(product_id):
    """Show a product

    Shows one product with its price and how many can still be sold. Without a token the answer may
    be one second old.
    """
    return catalogue.get_product(product_id)


@products.route("/<int:product_id>", methods=["PUT"])
@allow("admin")
@conditional
@products.raises(SkuTaken)
@products.arguments(ProductFields)
@products.response(200, ProductView)
def replace_product(body, product_id, expected):
    """Write a product anew; a description that is left out is cleared

    Orders keep the name and the price of the day on which they were placed. The stock is not
    changed here, but by `POST /products/{product_id}/stock`.
    """
    return catalogue.edit_product(product_id, expected, **body)


@products.route("/<int:product_id>", methods=["PATCH"])
@allow("admin")
@conditional
@products.raises(SkuTaken)
@products.arguments(ProductChange)
@products.response(200, ProductView)
def change_product(body, product_id, expected):
    """Change some fields of a product

    As PUT, but fields that are left out stay as they are.
    """
    return catalogue.edit_product(product_id, expected, **body)


@products.route("/<int:product_id>", methods=["DELETE"])
@allow("admin")
@conditional
@products.response(204)
def delete_product(product_id, expected):
    """Remove a product; orders keep what they have written down of it

    The product can no longer be found or ordered, and its sku becomes free.
    """
    catalogue.delete_product(product_id, expected)


@products.route("/<int:product_id>/image", methods=["PUT"])
@allow("admin")
@conditional_file
@products.raises(TooLarge, NotAnImage, StorageFailed)
@upload("image/png", "image/jpeg", "image/webp")
@products.response(200, ProductView)
def put_image(product_id, expected, stream):
    """Give a product its image, or another one: PNG, JPEG or WebP, by content

    The body is the file itself, of at most 75 MB (78,643,200 bytes). Its content decides what it
    is, whatever the content type says.
    """
    product, tag = images.put_image(product_id, expected, stream)
    return product, {"ETag": tag}


@products.route("/<int:product_id>/image", methods=["GET"])
@allow("anyone")
@conditional_file
@products.response(200, FILE, content_type="image/png")
@products.alt_response(200, schema=FILE, content_type="image/jpeg", success=True)
@products.alt_response(200, schema=FILE, content_type="image/webp", success=True)
def get_image(product_id):
    """Show a product's image

    The answer is the file. It is a 404 if there is no such product, or if it has no image.
    """
    images.refuse_image(product_id)  # Nginx shows what there is, and asks for the rest


@products.route("/<int:product_id>/image", methods=["DELETE"])
@allow("admin")
@conditional_file
@products.response(204)
def delete_image(product_id, expected):
    """Remove a product's image

    The product stays, without an image. It is a 404 if it has none.
    """
    images.delete_image(product_id, expected)


@products.route("/<int:product_id>/stock", methods=["POST"])
@allow("admin")
@conditional
@products.raises(OutOfStock, ReferenceTaken)
@products.arguments(StockChange)
@products.response(200, ProductView)
def enter_stock(body, product_id):
    """Enter goods that came or went

    Writes an entry in the product's stock ledger, and answers the product with its new stock. A
    `reference`, such as the number of a delivery note, can be entered only once.
    """
    return stock.enter_stock(product_id, **body)


@products.route("/<int:product_id>/stock", methods=["GET"])
@allow("admin")
@products.arguments(StockQuery, location="query")
@products.response(200, StockEntryView(many=True))
def list_stock_entries(query, product_id):
    """List a product's stock entries

    Lists what was entered by hand, by number. Sales are not entries.
    """
    return paged(stock.list_stock_entries(product_id, **query))


@categories.route("", methods=["GET"])
@allow("anyone")
@categories.response(200, CategoryView(many=True))
def list_categories():
    """List the categories, with how many products each has

    A category exists as long as a product names it. The list is not paged.
    """
    return catalogue.list_categories()


@internal_products.route("", methods=["GET"])
@callers("microservice3")
@internal_products.arguments(ProductIdsQuery, location="query")
@internal_products.response(200, ProductView(many=True))
def list_products_by_id(query):
    """List these products, as many of them as exist

    Numbers without a product are left out, and the order of the answer is by number.
    """
    return catalogue.list_products_by_id(query["ids"])


@reservations.route("/<int:order_id>", methods=["PUT"])
@callers("microservice3")
@reservations.raises(OutOfStock, TooLate, ProductNotFound)
@reservations.arguments(ReservationRequest)
@reservations.response(200, ReservationView)
def reserve_stock(body, order_id):
    """Set stock aside for an order

    Holds stock for every line, or for none of them. A repeat gets the answer of the first call.
    """
    return reserving.reserve(order_id, body["items"])


@reservations.route("/<int:order_id>", methods=["GET"])
@callers("microservice3")
@reservations.response(200, ReservationView)
def get_reservation(order_id):
    """Show what is set aside for an order

    It is a 404 if the order never reserved stock, and never released any.
    """
    return reserving.get_reservation(order_id)


@reservations.route("/<int:order_id>", methods=["DELETE"])
@callers("microservice3")
@reservations.response(200, ReservationView)
def release_stock(order_id):
    """Give back what was set aside for an order

    An order that never reserved stock is marked, so that it can no longer do so.
    """
    return reserving.release(order_id)


@events.route("", methods=["POST"])
@callers("microservice3")
@events.arguments(OrderEvent(many=True), content_type=CONTENT_TYPE)
@events.response(204)
def receive_events(events):
    """Take in what happened to orders: one event, or a batch

    Feeds `units_sold`. An event that comes again changes nothing.
    """
    selling.receive(events)
