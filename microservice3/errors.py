"""What this service refuses, each a fact with a stable code."""

from chassis.errors import Conflict, Problem
from chassis.idempotency import RequestInProgress


class OutOfStock(Conflict):
    """`lines`: [{line, product_id, requested, available}], lines counted from 0."""

    code, title = "out_of_stock", "There is not enough left of what was ordered"
    advice = "Show the customer what is `available` of each line that `lines` names."
    example = {"lines": [{"line": 0, "product_id": 1, "requested": 3, "available": 2}]}


class TooLate(Conflict):
    code, title = "too_late", "The order has been given up"
    advice = "Place the order again."


class NotEnoughPoints(Conflict):
    """`requested`, `balance`: the points to be redeemed, and what the user could spend."""

    code, title = "not_enough_points", "The user does not have the points that are to be redeemed"
    advice = "Redeem no more than `balance`."
    example = {"requested": 500, "balance": 120}


class ReferenceTaken(Conflict):
    """`order_id`: the order that has the reference."""

    code, title = "reference_taken", "Another order of this user has this reference"
    advice = "It was ordered before: `order_id` says which order it is. Else choose another one."
    example = {"order_id": 7}


class ReferenceInProgress(RequestInProgress):
    """Another order with the reference is being placed, and may still be refused.

    So no `Idempotency-Key` keeps this answer, and a repeat gets the outcome.
    """

    code, title = "reference_in_progress", "An order with this reference is just being placed"
    advice = "Wait for as many seconds as `Retry-After` says, then send the order again."


class InvalidTransition(Conflict):
    code, title = "invalid_transition", "An order cannot take this step from where it is"
    advice = "Read the order again: its `status` decides which steps are left."


class ProductNotFound(Problem):
    """`lines`: [{line, product_id}]."""

    status, code, title = 422, "product_not_found", "An ordered product does not exist"
    advice = "Take the lines that `lines` names out of the order."
    example = {"lines": [{"line": 0, "product_id": 1}]}


class UserNotFound(Problem):
    status, code, title = 422, "user_not_found", "The user of the order does not exist"
    advice = "Check `user_id`; without it the order is for the caller."


class RedeemTooMuch(Problem):
    status, code, title = 422, "redeem_too_much", "The points are worth more than the order"
    advice = "Redeem fewer points: 100 are worth 1.00."


class TotalTooLarge(Problem):
    status, code, title = 422, "total_too_large", "The order comes to more than can be charged"
    advice = "Split the order."


# What can be learnt only after an order was accepted, and is then written down with it.
REFUSALS = {
    kind.code: kind
    for kind in (
        OutOfStock,
        ProductNotFound,
        TotalTooLarge,
        RedeemTooMuch,
        NotEnoughPoints,
        TooLate,
    )
}
