"""What this service refuses, each a fact with a stable code."""

from chassis.errors import Conflict, Problem, Unavailable


class SearchesBusy(Unavailable):
    title = "Too many searches are running at this moment"


class SkuTaken(Conflict):
    code, title = "sku_taken", "Another product has this sku"


class OutOfStock(Conflict):
    """For a reservation, `lines` says which: [{line, product_id, requested, available}]."""

    code, title = "out_of_stock", "There is not enough left"


class ReferenceTaken(Conflict):
    code, title = "reference_taken", "This product has a stock entry with this reference already"


class TooLate(Conflict):
    code, title = "too_late", "The order has been given up"


class ProductNotFound(Problem):
    """`lines` says which: [{line, product_id}]."""

    status, code, title = 422, "product_not_found", "An ordered product does not exist"
