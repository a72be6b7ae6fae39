"""The seven promises about orders, each a pure function over a history and the databases' rows.

    check(events, world)     # {promise: [violations, each one line for a human]}

To be called when all faults are healed and all is quiet. Orders that nobody in the history has
placed are judged by their rows all the same.
"""

from collections import Counter, defaultdict
from itertools import permutations
from math import floor

from tests.chaos.history import calls
from tests.chaos.world import ENDED, STANDING

LEASE_SECONDS = 8
POLL_SECONDS = 1.0

# What a client may see next, and after that; what it has seen already it may see again.
_LATER = {
    "pending": {"confirmed", "shipped", "delivered", "cancelling", "cancelled"},
    "confirmed": {"shipped", "delivered", "cancelling", "cancelled"},
    "shipped": {"delivered"},
    "delivered": set(),
    "cancelling": {"cancelled"},
    "cancelled": set(),
}
_REMEMBERED = frozenset({409, 422})  # refusals that are kept under an Idempotency-Key
# Refusals that say nothing of whether an earlier try of the same order was taken.
_SAYS_NOTHING = frozenset({"reference_taken", "idempotency_key_reused"})


def check(events, world):
    """Return {promise: [violations]}, empty lists where a promise was kept.

    events: a history, as dicts. world: a tests.chaos.world.World.
    """
    made = calls(events)
    return {
        "1 never oversold": never_oversold(world),
        "2 no order lost": no_order_lost(made, world),
        "3 no effect twice": no_effect_twice(world),
        "4 the ends agree": ends_agree(world),
        "5 every order ends": everything_ended(world),
        "6 one e-mail for each event": one_email_for_each_event(world),
        "7 never backwards": never_backwards(made, world),
    }


# ---- 1


def never_oversold(world):
    """No product's stock is below zero; what was entered is what is left and what is held."""
    held = _held(world)
    entered = Counter()
    for entry in world.stock_entries:
        entered[entry["product_id"]] += entry["delta"]
    found = []
    for product in world.products:
        number, left = product["id"], product["stock"]
        if left < 0:
            found.append(f"product {number}: {left} are left")
        if entered[number] != left + held[number]:
            found.append(
                f"product {number}: {entered[number]} entered, {left} left and {held[number]} held"
            )
    return found


def _held(world):
    holding = {row["order_id"] for row in world.reservations if row["state"] == "held"}
    held = Counter()
    for item in world.reservation_items:
        if item["order_id"] in holding:
            held[item["product_id"]] += item["quantity"]
    return held


# ---- 2


def no_order_lost(made, world):
    """What was accepted is there, what was refused is not, and nothing is there twice."""
    by_id = {order["id"]: order for order in world.orders}
    shown = defaultdict(list)
    for order in world.orders:
        if order["shown"] and order["reference"]:
            shown[order["reference"]].append(order["id"])
    found = [
        f"reference {reference}: orders {ids}" for reference, ids in shown.items() if len(ids) > 1
    ]
    for reference, tries in _by_reference(made).items():
        found += _lost(reference, tries, by_id) + _undead(reference, tries, shown[reference])
    return found


def _by_reference(made):
    """The calls that place each order: its client may have repeated it."""
    tries = defaultdict(list)
    for call in made:
        if call.operation == "place":
            tries[call.arguments["reference"]].append(call)
    return tries


def _lost(reference, tries, by_id):
    """Orders that a client was told of, and that are not as it was told."""
    told = {call.body["id"] for call in tries if call.outcome == "ok"}
    told |= {call.body["order_id"] for call in tries if _code(call) == "reference_taken"}
    if len(told) > 1:
        return [f"reference {reference}: its client was told of orders {sorted(told)}"]
    found = []
    for number in told:
        order = by_id.get(number)
        if order is None:
            found.append(f"order {number}: accepted, and no row")
        elif not order["shown"] or order["reference"] != reference:
            found.append(f"order {number}: accepted, and not shown as {reference}")
        elif _wanted(order["requested"]) != _wanted(tries[0].arguments["items"]):
            found.append(f"order {number}: not what was ordered")
    return found


def _undead(reference, tries, shown):
    """An order that is there although its client was refused.

    After an unknown answer, a refusal is final only if both had the same Idempotency-Key.
    """
    refused = [
        call for call in tries if call.outcome == "fail" and _code(call) not in _SAYS_NOTHING
    ]
    unknown = any(call.outcome == "info" for call in tries)
    final = [call for call in refused if call.status in _REMEMBERED] if unknown else refused
    if unknown and not tries[0].arguments.get("key"):
        return []
    if final and shown:
        return [f"order {shown[0]}: refused ({_code(final[-1])}), and shown as {reference}"]
    return []


def _wanted(items):
    return [(item["product_id"], item["quantity"]) for item in items]


def _code(call):
    return (call.body or {}).get("code")


# ---- 3


def no_effect_twice(world):
    """Each order has at most one entry of a kind, and balances are the sums of the entries."""
    entries = Counter(
        (entry["order_id"], entry["kind"])
        for entry in world.points_entries
        if entry["order_id"] is not None
    )
    found = [
        f"order {number}: {times} times {kind}"
        for (number, kind), times in entries.items()
        if times > 1
    ]
    confirmations = Counter(
        row["order_id"] for row in world.order_history if row["to_status"] == "confirmed"
    )
    found += [
        f"order {n}: confirmed {times} times" for n, times in confirmations.items() if times > 1
    ]
    points, balances = Counter(), Counter()
    for entry in world.points_entries:
        points[entry["user_id"]] += entry["points"]
        balances[entry["user_id"]] += entry["balance"]
    for user in world.users:
        entered = (points[user["id"]], balances[user["id"]])
        has = (user["points"], user["points_balance"])
        if has != entered:
            found.append(f"user {user['id']}: has {has} points and balance, entered are {entered}")
    return found


# ---- 4


def ends_agree(world):
    """An order that stands holds its stock and its points; one that does not, holds neither."""
    found = []
    held, wanted = _lines(world)
    redeemed = {row["order_id"] for row in world.redemptions if row["state"] == "redeemed"}
    ledger = _ledger(world)
    sold = {row["order_id"] for row in world.sales}
    for order in world.orders:
        number, state = order["id"], order["state"]
        stands = state in STANDING
        spends = stands and order["redeem_points"] > 0
        expected = {
            "stock": (wanted[number] if stands else Counter(), held[number]),
            "redemption": (spends, number in redeemed),
            "points spent": (order["redeem_points"] if spends else 0, ledger[number]["spent"]),
            "points earned": (floor(order["total"]) if stands else 0, ledger[number]["earned"]),
            "in the report": (stands, number in sold),
            "shown": (state != "refused", order["shown"]),
        }
        found += [
            f"order {number}, {state}: {name} is {is_}, not {should}"
            for name, (should, is_) in expected.items()
            if is_ != should
        ]
    known = {order["id"] for order in world.orders}
    found += [
        f"order {number}: stock is held, and no row" for number in held if number not in known
    ]
    return found + _units_sold(world)


def _lines(world):
    """What each order holds, and what it should: {order: Counter of products}."""
    holding = {row["order_id"] for row in world.reservations if row["state"] == "held"}
    held, wanted = defaultdict(Counter), defaultdict(Counter)
    for item in world.reservation_items:
        if item["order_id"] in holding:
            held[item["order_id"]][item["product_id"]] += item["quantity"]
    for item in world.order_items:
        wanted[item["order_id"]][item["product_id"]] += item["quantity"]
    return held, wanted


def _ledger(world):
    """Points that each order has earned and spent, what was given back taken off."""
    effects = {"earned": ("earned", 1), "reversed": ("earned", 1)}
    effects |= {"redeemed": ("spent", -1), "refunded": ("spent", -1)}
    ledger = defaultdict(Counter)
    for entry in world.points_entries:
        if entry["kind"] in effects:
            side, sign = effects[entry["kind"]]
            ledger[entry["order_id"]][side] += sign * entry["balance"]
    return ledger


def _units_sold(world):
    standing = {order["id"] for order in world.orders if order["state"] in STANDING}
    units = Counter()
    for item in world.order_items:
        if item["order_id"] in standing:
            units[item["product_id"]] += item["quantity"]
    return [
        f"product {product['id']}: {product['units_sold']} sold, by orders {units[product['id']]}"
        for product in world.products
        if product["units_sold"] != units[product["id"]]
    ]


# ---- 5


def everything_ended(world):
    """No order is under way, no lease has run out unnoticed, no message waits or was refused."""
    found = list(world.late)
    found += [
        f"order {order['id']}: still {order['state']}"
        for order in world.orders
        if order["state"] not in ENDED
    ]
    for row in world.outbox:
        about = f"{row['service']}, lane {row['lane']}, {row['subject']}"
        overdue = (row["now"] - row["due_at"]).total_seconds()
        why = f"{row['attempts']} tries, last error: {row['last_error']}"
        if row["state"] == "dead":
            found.append(f"{about}: a dead letter ({why})")
        elif row["lease"] is not None and overdue > POLL_SECONDS:
            found.append(f"{about}: a lease is {LEASE_SECONDS + overdue:.1f} s old")
        else:
            found.append(f"{about}: waits still ({why})")
    return found


# ---- 6


def one_email_for_each_event(world):
    """Each change was told by one e-mail, in order; nobody heard of an order refused at once."""
    told = defaultdict(list)
    for row in world.notifications:
        if row["order_id"] is not None:
            told[row["order_id"]].append(row)
    happened = defaultdict(list)
    for row in world.order_history:
        if row["to_status"] != "cancelling":
            happened[row["order_id"]].append(f"order.{row['to_status']}")
    found = []
    for order in world.orders:
        found += _told_wrongly(order, happened[order["id"]], told.pop(order["id"], []))
    found += [f"order {number}: e-mails, and no row" for number in told]
    return found + _mailed_wrongly(world)


def _told_wrongly(order, happened, notifications):
    number = order["id"]
    told = [row["event_type"] for row in notifications]
    if Counter(told) != Counter(happened):
        return [f"order {number}, {order['state']}: told {told}, happened {happened}"]
    latest = max((row["order_version"] for row in notifications), default=0)
    return [
        f"order {number}: {row['event_type']} is {row['status']}, no e-mail ({row['last_error']})"
        for row in notifications
        if row["status"] != "sent" and not _rightly_suppressed(row, latest)
    ]


def _rightly_suppressed(row, latest):
    """Later news has overtaken it, or its reader has no address that e-mail goes to."""
    nowhere = row["recipient"] is not None and row["recipient"].endswith(".invalid")
    return row["status"] == "suppressed" and (row["order_version"] < latest or nowhere)


def _mailed_wrongly(world):
    """Compare what is written down as sent with what the mail server has taken, in its order."""
    by_event = {row["event_id"]: row for row in world.notifications}
    sent = {event for event, row in by_event.items() if row["status"] == "sent"}
    taken = Counter(world.mails)
    found = [f"event {event}: written down as sent, and no e-mail" for event in sent - set(taken)]
    found += [f"event {event}: an e-mail, not sent by the books" for event in set(taken) - sent]
    repeats = sum(taken.values()) - len(taken)
    if repeats > world.repeats_excused:
        found.append(f"{repeats} e-mails came again, {world.repeats_excused} may have")
    return found + _mailed_out_of_order(world.mails, by_event)


def _mailed_out_of_order(mails, by_event):
    found, latest = [], {}
    for event in dict.fromkeys(mails):
        row = by_event.get(event)
        if row is None or row["order_id"] is None:
            continue
        before = latest.setdefault(row["order_id"], row)
        if row["order_version"] < before["order_version"]:
            found.append(
                f"order {row['order_id']}: {row['event_type']} came after {before['event_type']}"
            )
        else:
            latest[row["order_id"]] = row
    return found


# ---- 7


def never_backwards(made, world):
    """Whoever looks later sees the same or a later status, and never that it is gone."""
    seen = defaultdict(list)
    for call in made:
        number = _looked_at(call)
        if number is not None:
            seen[number].append(call)
    final = {order["id"]: order["state"] for order in world.orders}
    found = []
    for number, looks in seen.items():
        for before, after in permutations(looks, 2):
            if before.end <= after.start:
                found += _backwards(number, before, after)
        found += [
            f"order {number}: {_seen(look)} at {look.end}, {final[number]} in the end"
            for look in looks
            if look.outcome == "ok"
            and number in final
            and not _leads_to(_seen(look), final[number])
        ]
    return found


def _looked_at(call):
    """The order whose status an answer tells, or None."""
    if call.outcome == "ok" and "status" in call.body and call.operation != "restock":
        return call.body["id"]
    if call.operation == "read" and _code(call) == "not_found":
        return call.arguments["order"]
    return None


def _backwards(number, before, after):
    if after.outcome == "fail":
        return [f"order {number}: {_seen(before)} at {before.end}, gone at {after.end}"]
    if before.outcome == "fail":
        return []
    newer = before.body["version"] <= after.body["version"]
    if not (newer and _leads_to(_seen(before), _seen(after))):
        return [
            f"order {number}: {_seen(before)}, version {before.body['version']}, at {before.end}; "
            f"then {_seen(after)}, version {after.body['version']}, at {after.end}"
        ]
    return []


def _seen(call):
    return call.body["status"]


def _leads_to(before, after):
    return before == after or after in _LATER[before]
