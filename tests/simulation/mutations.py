"""The rules of the saga, each broken in the real code: the simulation must notice.

Takes minutes, so it runs only when it is named: scripts/test tests/simulation/mutations.py
The mutations are those of tests/model/order_saga.py, which breaks them in the model.
"""

from uuid import uuid4

import pytest

from chassis import inbox
from chassis.database import transaction
from microservice1 import database as users_database
from microservice1.logic import points, redeeming
from microservice2 import database as products_database
from microservice2.logic import reserving
from microservice3 import database as orders_database
from microservice3.logic import changing, saga
from microservice4 import database as notifications_database
from microservice4.logic import addressing
from tests.simulation.promises import broken_promises
from tests.simulation.world import World

SEEDS = 60
STEPS = 60


def no_release_tombstone(patch):
    def release(order_id):
        with transaction() as tx:
            if products_database.find_reservation(tx, order_id) is None:
                return {"order_id": order_id, "state": "released", "items": []}
        return real(order_id)

    real = _replace(patch, reserving, "release", release)


def no_refund_tombstone(patch):
    def refund(order_id):
        with transaction() as tx:
            if users_database.find_redemption(tx, order_id) is None:
                return {"order_id": order_id, "state": "refunded"}
        return real(order_id)

    real = _replace(patch, redeeming, "refund", refund)


def no_reversal_tombstone(patch):
    def reverse(tx, user, order):
        if users_database.find_order_points(tx, order["order_id"], "earned") is not None:
            real(tx, user, order)

    real = points._HANDLERS["order.cancelled"]
    patch.setitem(points._HANDLERS, "order.cancelled", reverse)


def refusal_not_recorded(patch):
    def reserve(order_id, items):
        try:
            return real(order_id, items)
        except (reserving.OutOfStock, reserving.ProductNotFound):
            with transaction() as tx:
                tx.run(
                    "DELETE FROM reservations WHERE order_id = %(id)s AND state = 'refused'",
                    id=order_id,
                )
            raise

    real = _replace(patch, reserving, "reserve", reserve)


def no_dedup_reserve(patch):
    def reserve(order_id, items):
        with transaction() as tx:
            again = products_database.find_reservation(tx, order_id)
            if again and again.state == "held":
                products_database.take_stock(tx, reserving.quantities(items))
        return real(order_id, items)

    real = _replace(patch, reserving, "reserve", reserve)


def no_dedup_release(patch):
    def release(order_id):
        with transaction() as tx:
            again = products_database.find_reservation(tx, order_id)
            if again and again.state == "released":
                items = products_database.list_reserved_items(tx, order_id)
                units = {item.product_id: item.quantity for item in items}
                products_database.return_stock(tx, units)
        return real(order_id)

    real = _replace(patch, reserving, "release", release)


def no_dedup_redeem(patch):
    def redeem(order_id, *, user_id, points):
        _move_balance_again(order_id, "redeemed", -1)
        return real(order_id, user_id=user_id, points=points)

    real = _replace(patch, redeeming, "redeem", redeem)


def no_dedup_refund(patch):
    def refund(order_id):
        _move_balance_again(order_id, "refunded", +1)
        return real(order_id)

    real = _replace(patch, redeeming, "refund", refund)


def no_state_guard(patch):
    """What a neighbour answers late moves an order that is on its way back, or there."""

    def from_anywhere(move, state):
        def moved(tx, order_id, **fields):
            tx.run(
                """
                UPDATE orders
                   SET state = %(state)s
                 WHERE id = %(id)s
                   AND state IN ('refunding', 'releasing', 'cancelled', 'refused')
                """,
                id=order_id,
                state=fields.get("state", state),
            )
            return move(tx, order_id, **fields)

        return moved

    for name in ("reserve_order", "confirm_order"):
        move = getattr(orders_database, name)
        patch.setattr(orders_database, name, from_anywhere(move, "pending"))


def cancel_skips_refund(patch):
    real = saga.way_back
    patch.setattr(changing.saga, "way_back", lambda order: "releasing" if real(order) else None)


def no_release_on_cancel(patch):
    real = saga.way_back
    patch.setattr(
        changing.saga,
        "way_back",
        lambda order: "cancelled" if order.state == "pending" else real(order),
    )


def hold_expires(patch):
    def time_passes(world):
        real(world)
        held = world.query(
            "microservice2", "SELECT order_id FROM reservations WHERE state = 'held'"
        )
        if held and not world.network.faithful:
            with world.services["microservice2"].active():
                reserving.release(world.dice.choice(sorted(held))[0])

    real = _replace(patch, World, "time_passes", time_passes)


def no_dedup_mail(patch):
    def insert_notification(tx, news, fate):
        return real(tx, type(news)(**{**_fields(news), "event_id": str(uuid4())}), fate)

    real = _replace(patch, notifications_database, "insert_notification", insert_notification)
    patch.setattr(inbox, "new_among", lambda _tx, events: events)


def overtaken_mail_sent(patch):
    patch.setattr(addressing, "_is_overtaken", lambda *_: False)


MUTATIONS = (
    no_release_tombstone,
    no_refund_tombstone,
    no_reversal_tombstone,
    refusal_not_recorded,
    no_dedup_reserve,
    no_dedup_release,
    no_dedup_redeem,
    no_dedup_refund,
    no_state_guard,
    cancel_skips_refund,
    no_release_on_cancel,
    hold_expires,
    no_dedup_mail,
    overtaken_mail_sent,
)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_broken_rule_is_noticed(world_of, monkeypatch, mutation):
    mutation(monkeypatch)
    for seed in range(1, SEEDS + 1):
        world = world_of(seed)
        for _ in range(STEPS):
            world.step()
        try:
            world.heal()
        except AssertionError:
            return  # the workers find no end
        if broken_promises(world):
            return
    raise AssertionError(f"{SEEDS} seeds, and nobody noticed")


def _replace(patch, place, name, function):
    real = getattr(place, name)
    patch.setattr(place, name, function)
    return real


def _fields(row):
    return {name: getattr(row, name) for name in row.__slots__}


def _move_balance_again(order_id, state, sign):
    with transaction() as tx:
        again = users_database.find_redemption(tx, order_id)
        if again and again.state == state and again.user_id is not None:
            tx.run(
                "UPDATE users SET points_balance = points_balance + %(points)s WHERE id = %(id)s",
                id=again.user_id,
                points=sign * again.points,
            )
