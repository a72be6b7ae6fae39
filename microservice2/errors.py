"""What this service refuses, each a fact with a stable code."""

from chassis.errors import Conflict, Problem, Unavailable


class SearchesBusy(Unavailable):
    title = "Too many searches are running at this moment"
    advice = "Wait for as many seconds as `Retry-After` says, then search again."


class SkuTaken(Conflict):
    code, title = "sku_taken", "Another product has this sku"
    advice = "Choose another sku, or change the product that has it."


class OutOfStock(Conflict):
    """For a reservation, `lines` says which: [{line, product_id, requested, available}]."""

    code, title = "out_of_stock", "There is not enough left"
    advice = "Take no more than the product's `stock`."


class ReferenceTaken(Conflict):
    code, title = "reference_taken", "This product has a stock entry with this reference already"
    advice = "It was entered before. List the entries by this `reference` to see it."


class TooLate(Conflict):
    code, title = "too_late", "The order has been given up"
    advice = "Do not repeat the request."


class ProductNotFound(Problem):
    """`lines` says which: [{line, product_id}]."""

    status, code, title = 422, "product_not_found", "An ordered product does not exist"
    advice = "Take the lines that `lines` names out of the order."
    example = {"lines": [{"line": 0, "product_id": 1}]}
