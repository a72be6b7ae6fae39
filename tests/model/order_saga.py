"""An exhaustive model of the order saga: every interleaving of crashes, losses and duplicates.

A message that was sent may be delivered never, once or many times, at any later moment and in any
order; a crash between two steps is the step not taken. Breadth-first search visits every state that
a few orders can reach which compete for a stock, and checks the promises in each. A rule left out
on purpose (`broken`) must lead to a broken promise, or the rule is not needed or not modelled.

The names are those of the code: the states of orders, reservations and redemptions are the words in
their tables, so that `test_conformance.py` can hold the real services against this model.
"""

from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

MUTATIONS = (
    "no_release_tombstone",
    "no_refund_tombstone",
    "no_reversal_tombstone",
    "refusal_not_recorded",
    "no_dedup_reserve",
    "no_dedup_release",
    "no_dedup_redeem",
    "no_dedup_refund",
    "no_state_guard",
    "cancel_skips_refund",
    "no_release_on_cancel",
    "hold_expires",
    "no_dedup_mail",
    "overtaken_mail_sent",
    "refusal_told_as_cancelled",
)

_STANDING = ("confirmed", "shipped", "delivered")
_ENDED = ("cancelled", "refused")


class Order(NamedTuple):
    """One order, and what the participants hold of it."""

    points: bool = True  # whether there are points to redeem
    state: str | None = None
    shown: bool = False  # the client was told of it by 201 or 202
    given_up: bool = False  # a refusal is written down with it
    reservation: str | None = None  # microservice2: held, released, refused
    redemption: str | None = None  # microservice1: redeemed, refunded, declined
    earning: str | None = None  # microservice1: earned, reversed
    told_cancelled: bool = False  # microservice1 has seen the cancellation
    sent: frozenset = frozenset()  # messages under way, each may be delivered any number of times
    taken: int = 0  # points taken, net of refunds; 2 stands for "more than once"
    mails: str = ""  # what the customer got: C confirmed, X cancelled

    def send(self, *messages, **changes):
        return self._replace(sent=self.sent.union(messages), **changes)


def orchestrator(order, broken):
    """Moves of microservice3: each one transaction, a compare-and-set with its outbox rows."""
    yield from _clients(order, broken)
    yield from _calls(order)
    yield from _answers(order, broken)


def _clients(order, broken):
    """What clients do, and what they are told."""
    if order.state is None:
        yield "accept", order._replace(state="pending")
    if order.state in ("pending", "reserved") and not order.shown and not order.given_up:
        yield "answer 202", order._replace(shown=True)
    if order.state == "confirmed":
        yield "ship", order._replace(state="shipped")
    if order.state == "shipped":
        yield "deliver", order._replace(state="delivered")
    if order.shown and (back := _way_back(order, broken)):
        if "no_release_on_cancel" in broken and order.state == "pending":
            yield "cancel", order.send("cancelled", state="cancelled")
        else:
            yield "cancel", order._replace(state=back)


def _way_back(order, broken):
    if order.state == "pending":
        return "releasing"
    if order.state == "reserved" or (order.state == "confirmed" and order.points):
        return "releasing" if "cancel_skips_refund" in broken else "refunding"
    return "releasing" if order.state == "confirmed" else None


def _calls(order):
    call = {
        "pending": "reserve",
        "reserved": "redeem",
        "refunding": "refund",
        "releasing": "release",
    }.get(order.state)
    if call:
        yield f"send {call}", order.send(call)


def _answers(order, broken):
    """Definite answers of the participants. A late one finds another state, and changes nothing."""

    def came(answer, *states):
        unguarded = "no_state_guard" in broken and order.state in (
            "refunding",
            "releasing",
            *_ENDED,
        )
        return answer in order.sent and (order.state in states or unguarded)

    if came("reserve_ok", "pending"):
        if order.points:
            yield "held", order._replace(state="reserved")
        else:
            yield "held: confirm", _confirm(order)
    if "reserve_ok" in order.sent and order.state == "pending":
        yield "held, but too much", order._replace(state="releasing", given_up=True)
    if "reserve_no" in order.sent and order.state == "pending":
        yield "not held", _end(order._replace(given_up=True), broken)
    if came("redeem_ok", "reserved"):
        yield "redeemed: confirm", _confirm(order)
    if "redeem_no" in order.sent and order.state == "reserved":
        yield "not redeemed", order._replace(state="releasing", given_up=True)
    if "refund_ok" in order.sent and order.state == "refunding":
        yield "refunded", order._replace(state="releasing")
    if "release_ok" in order.sent and order.state == "releasing":
        yield "released", _end(order, broken)


def _confirm(order):
    return order.send("confirmed", state="confirmed", shown=True)


def _end(order, broken):
    """The order is over: visibly, if anybody was told of it, and then everybody is told."""
    if order.shown or "refusal_told_as_cancelled" in broken:
        return order.send("cancelled", state="cancelled")
    return order._replace(state="refused")


def products(order, in_stock, broken):
    """Deliveries to microservice2. Yields (label, order, difference in stock)."""
    held = order.reservation
    if "reserve" in order.sent:
        fresh = held is None or ("no_dedup_reserve" in broken and held == "held")
        if fresh and in_stock:
            yield "reserve: held", order.send("reserve_ok", reservation="held"), -1
        elif fresh:
            kept = None if "refusal_not_recorded" in broken else "refused"
            yield "reserve: refused", order.send("reserve_no", reservation=kept), 0
        else:
            again = "reserve_ok" if held == "held" else "reserve_no"
            yield "reserve: again", order.send(again), 0
    if "release" in order.sent:
        if held == "held" or (held == "released" and "no_dedup_release" in broken):
            yield "release: returned", order.send("release_ok", reservation="released"), +1
        else:
            tombstone = held is None and "no_release_tombstone" not in broken
            left = "released" if tombstone else held
            yield "release: nothing held", order.send("release_ok", reservation=left), 0
    if "hold_expires" in broken and held == "held":
        yield "the hold expires by itself", order._replace(reservation="released"), +1


def users(order, broken):
    """Deliveries to microservice1."""
    redemption = order.redemption
    if "redeem" in order.sent:
        if redemption is None or ("no_dedup_redeem" in broken and redemption == "redeemed"):
            taken = min(order.taken + 1, 2)
            yield "redeem: taken", order.send("redeem_ok", redemption="redeemed", taken=taken)
        if redemption is None:
            yield "redeem: declined", order.send("redeem_no", redemption="declined")
        else:
            again = "redeem_ok" if redemption == "redeemed" else "redeem_no"
            yield "redeem: again", order.send(again)
    if "refund" in order.sent:
        twice = redemption == "refunded" and "no_dedup_refund" in broken
        if redemption == "redeemed" or twice:
            taken = order.taken - 1
            yield "refund: returned", order.send("refund_ok", redemption="refunded", taken=taken)
        else:
            tombstone = redemption is None and "no_refund_tombstone" not in broken
            left = "refunded" if tombstone else redemption
            yield "refund: nothing taken", order.send("refund_ok", redemption=left)
    if "confirmed" in order.sent and order.earning is None:
        yield "points earned", order._replace(earning="earned")
    if "cancelled" in order.sent:
        lost = order.earning is None and "no_reversal_tombstone" in broken
        earning = None if lost else "reversed"
        yield "points reversed", order._replace(earning=earning, told_cancelled=True)


def notifications(order, broken):
    """Deliveries to microservice4: one e-mail for each event, and none that is overtaken."""
    again = "no_dedup_mail" in broken and len(order.mails) < 3
    overtaken = "X" in order.mails and "overtaken_mail_sent" not in broken
    if "confirmed" in order.sent and not overtaken and ("C" not in order.mails or again):
        yield "mail: confirmed", order._replace(mails=order.mails + "C")
    if "cancelled" in order.sent and ("X" not in order.mails or again):
        yield "mail: cancelled", order._replace(mails=order.mails + "X")


@cache
def moves(order, in_stock, broken=()):
    """Return [(label, order, difference in stock)] for all that can happen to an order next."""
    found = list(products(order, in_stock, broken))
    for participant in (orchestrator, users, notifications):
        found += [(label, changed, 0) for label, changed in participant(order, broken)]
    return found


def steps(world, broken):
    """Yield (label, world) for everything that can happen next."""
    stock, orders = world
    for i, order in enumerate(orders):
        for label, changed, difference in moves(order, stock > 0, broken):
            after = (*orders[:i], changed, *orders[i + 1 :])
            yield f"order {i + 1}: {label}", (stock + difference, after)


def broken_promise(world, supply):
    """Return the promise that this state breaks, or None."""
    stock, orders = world
    if stock < 0:
        return "oversold"
    if stock + sum(order.reservation == "held" for order in orders) != supply:
        return "stock not conserved"
    return next(filter(None, map(_broken_by, orders)), None)


def _broken_by(order):
    redeemed = order.redemption == "redeemed"
    if not 0 <= order.taken <= 1:
        return "points taken twice or returned twice"
    if order.state in _STANDING and (order.reservation != "held" or redeemed != order.points):
        return "confirmed without stock or points"
    if order.state in _ENDED and (order.reservation == "held" or redeemed):
        return "ended but stock or points kept"
    if order.state in _ENDED and order.shown != (order.state == "cancelled"):
        return "the client was told something else"
    if order.told_cancelled and order.earning == "earned":
        return "cancelled but points earned"
    if order.mails.count("C") > 1 or order.mails.count("X") > 1:
        return "an e-mail twice"
    if "XC" in order.mails:
        return "told confirmed after cancelled"
    return None


@dataclass(slots=True)
class Found:
    """What a search has seen. story: the shortest way to a broken promise. stuck: states from
    which no order can reach its end any more (counted for a single order)."""

    states: int
    story: str | None = None
    stuck: int = 0


def is_settled(order):
    """Nothing is left to do for this order, whatever messages are still repeated."""
    if order.state in _STANDING:
        return order.earning == "earned" and "C" in order.mails
    if order.state == "cancelled":
        return order.told_cancelled and "X" in order.mails
    return order.state == "refused"


def explore(orders, supply, broken=()):
    """Visit every state of `orders` that compete for `supply`. Returns a Found."""
    start = (supply, tuple(orders))
    came_from, queue, into = {start: None}, deque([start]), {}
    while queue:
        world = queue.popleft()
        for label, after in steps(world, broken):
            if len(orders) == 1:
                into.setdefault(after, []).append(world)
            if after in came_from:
                continue
            came_from[after] = (world, label)
            if promise := broken_promise(after, supply):
                return Found(len(came_from), f"{promise}: {_story(came_from, after)}")
            queue.append(after)
    return Found(len(came_from), stuck=_stuck(came_from, into) if len(orders) == 1 else 0)


def _story(came_from, world):
    path = []
    while came_from[world]:
        world, label = came_from[world]
        path.append(label)
    return " > ".join(reversed(path))


def _stuck(worlds, into):
    live = {world for world in worlds if is_settled(world[1][0])}
    todo = list(live)
    while todo:
        for before in into.get(todo.pop(), ()):
            if before not in live:
                live.add(before)
                todo.append(before)
    return len(worlds) - len(live)


def moves_of_one_order():
    """Return {(before, after)} for every move that one order can make, with points and without."""
    found, todo = set(), [Order(points=True), Order(points=False)]
    known = set(todo)
    while todo:
        order = todo.pop()
        for in_stock in (True, False):
            for _, changed, _ in moves(order, in_stock):
                found.add((order, changed))
                if changed not in known:
                    known.add(changed)
                    todo.append(changed)
    return found
