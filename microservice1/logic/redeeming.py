"""Redeeming: an order spends points, at most once, and gets them back at most once.

Every answer is written down, and asked again it is the same. The order's redemption is locked
before the user, by both functions; nothing else locks redemptions, so nobody waits in a circle.
"""

from chassis import audit
from chassis.database import transaction
from microservice1 import database
from microservice1.errors import NotEnoughPoints, TooLate
from microservice1.logic.points import enter


def redeem(order_id, *, user_id, points):
    """Spend a user's points on an order. Returns the Redemption.

    Only the order's first call counts, whatever later ones say: one that was declined stays
    declined, and one that was refunded, even before it was redeemed, can no longer be redeemed.
    Raises NotEnoughPoints, for a user who is gone as well, or TooLate.
    """
    with transaction() as tx:
        claimed = database.claim_redemption(
            tx, order_id, state="redeemed", user_id=user_id, points=points
        )
        if claimed:
            redemption = _take_or_decline(tx, claimed)
        else:
            redemption = database.find_redemption(tx, order_id)
    if redemption.state == "declined":
        raise NotEnoughPoints(requested=redemption.points, balance=redemption.balance)
    if redemption.state == "refunded":
        raise TooLate
    return redemption


def refund(order_id):
    """Give back what the order has spent, unless the user is gone. Returns the Redemption.

    One that never redeemed is marked: it no longer can. One that was declined stays so.
    """
    with transaction() as tx:
        tombstone = database.claim_redemption(tx, order_id, state="refunded")
        if tombstone:
            audit.record(tx, "points.refunded", f"order/{order_id}")
            return tombstone
        redemption = database.lock_redemption(tx, order_id)
        if redemption.state != "redeemed":
            return redemption
        audit.record(tx, "points.refunded", f"order/{order_id}")
        _give_back(tx, redemption)
        return database.update_redemption(tx, order_id, state="refunded")


def _take_or_decline(tx, redemption):
    user = database.lock_user(tx, redemption.user_id)
    balance = user.points_balance if user else 0
    if balance < redemption.points:
        return database.update_redemption(
            tx, redemption.order_id, state="declined", balance=balance
        )
    audit.record(tx, "points.redeemed", f"order/{redemption.order_id}")
    enter(
        tx,
        user,
        kind="redeemed",
        points=0,
        balance=-redemption.points,
        reason="An order redeemed points",
        order_id=redemption.order_id,
    )
    return redemption


def _give_back(tx, redemption):
    user = database.lock_user(tx, redemption.user_id)
    if user is not None:
        enter(
            tx,
            user,
            kind="refunded",
            points=0,
            balance=redemption.points,
            reason="An order was given up",
            order_id=redemption.order_id,
        )
