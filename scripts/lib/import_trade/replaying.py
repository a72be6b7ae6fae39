"""Sees to it that the services hold what the plan says: users, then products with their opening
stock, then returns, and orders last, when nothing that they need can be missing any more.

Every step finds what an earlier run did and goes on from there; a refusal before the first order
ends the run, so that no order is placed on a set-up that is wrong.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TypeVar

from import_trade import api
from import_trade.api import Outcome, Refusal
from import_trade.planning import Plan, PlannedProduct
from import_trade.progress import Progress
from import_trade.transport import Failed, Transport

Thing = TypeVar("Thing")
Result = TypeVar("Result")

MOST_REFUSALS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Replay:
    """What the run knows when everything was sent."""

    user_ids: dict[str, int]
    product_ids: dict[str, int]
    order_ids: dict[str, int]
    """By invoice; those that were refused are missing."""
    refusals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Crew:
    """A bounded number of threads that do one stage after the other."""

    http: Transport
    size: int

    def do(
        self, label: str, things: Iterable[Thing], work: Callable[[Thing], Result]
    ) -> tuple[list[Result], list[str]]:
        """Return the results in the order of the things, None for each that was refused, and the
        refusals. Whatever else goes wrong, Ctrl-C included, stops all threads first."""
        things = list(things)
        results: list[Result] = [None] * len(things)
        refusals = []
        if not things:
            return results, refusals
        threads = ThreadPoolExecutor(self.size, thread_name_prefix="import")
        try:
            with Progress(label, len(things)) as progress:
                places = {threads.submit(work, one): place for place, one in enumerate(things)}
                for future in as_completed(places):
                    try:
                        result = results[places[future]] = future.result()
                        progress.step(is_new=getattr(result, "is_new", None))
                    except Refusal as refusal:
                        refusals.append(str(refusal))
                        progress.step()
        except BaseException:
            self.http.stop.set()
            threads.shutdown(cancel_futures=True)
            raise
        threads.shutdown()
        return results, refusals


def replay(crew: Crew, plan: Plan) -> Replay:
    """Make the services hold the plan. Raises Failed before the first order if they cannot."""
    user_ids = ensure_users(crew, plan)
    product_ids = ensure_products(crew, plan)
    enter_openings(crew, plan, product_ids)
    refused_returns = book_returns(crew, plan, product_ids)
    order_ids, refused_orders = place_orders(crew, plan, user_ids, product_ids)
    return Replay(user_ids, product_ids, order_ids, (*refused_returns, *refused_orders))


def ensure_users(crew: Crew, plan: Plan) -> dict[str, int]:
    found = required(
        *crew.do("users", plan.users, lambda user: api.ensure_user(crew.http, user)),
    )
    return {user.username: one.id for user, one in zip(plan.users, found, strict=True)}


def ensure_products(crew: Crew, plan: Plan) -> dict[str, int]:
    found = required(
        *crew.do("products", plan.products, lambda one: api.ensure_product(crew.http, one)),
    )
    return {product.sku: one.id for product, one in zip(plan.products, found, strict=True)}


def enter_openings(crew: Crew, plan: Plan, product_ids: dict[str, int]) -> None:
    def enter(product: PlannedProduct) -> Outcome:
        product_id = product_ids[product.sku]
        return api.enter_opening(crew.http, product_id, product, plan.opening_reference)

    sold = [product for product in plan.products if product.opening]
    required(*crew.do("opening stock", sold, enter))


def book_returns(crew: Crew, plan: Plan, product_ids: dict[str, int]) -> list[str]:
    _, refusals = crew.do(
        "returns",
        plan.returns,
        lambda one: api.book_return(crew.http, product_ids[one.sku], one),
    )
    return refusals


def place_orders(
    crew: Crew, plan: Plan, user_ids: dict[str, int], product_ids: dict[str, int]
) -> tuple[dict[str, int], list[str]]:
    placed, refusals = crew.do(
        "orders",
        plan.orders,
        lambda order: api.place_order(crew.http, order, user_ids[order.username], product_ids),
    )
    order_ids = {
        order.invoice: one.id for order, one in zip(plan.orders, placed, strict=True) if one
    }
    return order_ids, refusals


def required(found: list[Outcome | None], refusals: list[str]) -> list[Outcome]:
    """Return what was found, or raise Failed if anything was refused."""
    if refusals:
        shown = refusals[:MOST_REFUSALS_SHOWN]
        if len(refusals) > len(shown):
            shown.append(f"and {len(refusals) - len(shown):,} more")
        raise Failed("no order was placed, because:\n  " + "\n  ".join(shown))
    return found
