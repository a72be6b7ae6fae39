"""The checker accepts a sound history and rejects each that breaks one of the promises."""

import copy
from datetime import UTC, datetime, timedelta

import pytest

from tests.chaos.checker import check
from tests.chaos.world import World

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
PRODUCT, USER = 5, 9


class Case:
    """A history and a world in which every promise is kept, to be spoilt.

    Order 1 was confirmed, 2 confirmed and cancelled, 3 refused, 4 delivered with points redeemed,
    5 confirmed when its client asked again after silence.
    """

    def __init__(self):
        self.events = []
        self.world = World(
            users=[{"id": USER, "points": 0, "points_balance": 0}],
            products=[{"id": PRODUCT, "stock": 10, "units_sold": 0}],
            stock_entries=[{"product_id": PRODUCT, "delta": 10}],
        )
        self.enter("adjustment", None, 500)
        self.accept(1)
        self.place(1, 1.0, "ok", 201, id=1, status="confirmed", version=2)
        self.read(1, 2.0, "confirmed", 2)

        self.accept(2)
        self.place(2, 1.0, "ok", 201, id=2, status="confirmed", version=2)
        self.cancel(2)
        self.call("cancelled", 2.0, "ok", 200, {"order": 2}, id=2, status="cancelled", version=4)
        self.read(2, 3.0, "cancelled", 4)

        self.refuse(3)
        self.place(3, 1.0, "fail", 409, code="out_of_stock")

        self.accept(4, redeem_points=100)
        self.place(4, 1.0, "ok", 202, id=4, status="pending", version=1)
        self.read(4, 2.0, "confirmed", 2)
        self.move(4, "confirmed", "shipped", 3)
        self.move(4, "shipped", "delivered", 4)
        self.read(4, 3.0, "delivered", 4)

        self.accept(5)
        self.place(5, 1.0, "info", None)
        self.place(5, 2.0, "ok", 201, id=5, status="confirmed", version=2)

    # ---- the history

    def call(self, operation, at, outcome, http, arguments, **body):
        about = {"call": len(self.events), "client": "shopper", "operation": operation}
        about["arguments"] = arguments
        self.events.append({"type": "invoke", "time": at, **about})
        answer = {"status": http, "body": body} if http else {"error": "ReadTimeout"}
        self.events.append({"type": outcome, "time": at + 0.5, "answer": answer, **about})

    def place(self, number, at, outcome, http, key=None, **body):
        items = [{"product_id": PRODUCT, "quantity": 1}]
        arguments = {"reference": f"ref-{number}", "items": items, "key": key}
        self.call("place", at, outcome, http, arguments, **body)

    def read(self, number, at, status, version):
        order = {"id": number, "status": status, "version": version}
        self.call("read", at, "ok", 200, {"order": number}, **order)

    def forget_calls(self, number):
        self.events = [e for e in self.events if e["arguments"].get("reference") != f"ref-{number}"]

    # ---- the rows

    def row(self, table, order_id):
        """The latest row of a table about an order (or a product, or a user)."""
        name = "order_id" if table not in ("orders", "products", "users") else "id"
        return [row for row in getattr(self.world, table) if row[name] == order_id][-1]

    def drop(self, table, order_id):
        getattr(self.world, table).remove(self.row(table, order_id))

    def again(self, table, order_id, **changes):
        getattr(self.world, table).append({**copy.copy(self.row(table, order_id)), **changes})

    def accept(self, number, redeem_points=0):
        """An order for one unit at 20.00, confirmed."""
        self._order(number, "confirmed", shown=True, redeem_points=redeem_points)
        line = {"order_id": number, "product_id": PRODUCT, "quantity": 1}
        self.world.order_items.append(line)
        self.world.reservation_items.append(line)
        self.world.reservations.append({"order_id": number, "state": "held"})
        self.world.sales.append({"order_id": number})
        self._shelf(-1)
        self._change(number, "pending", "confirmed")
        self.tell(number, "confirmed", 2)
        self.enter("earned", number, 20)
        if redeem_points:
            self.world.redemptions.append({"order_id": number, "state": "redeemed"})
            self.enter("redeemed", number, -redeem_points, points=0)

    def cancel(self, number):
        self.row("orders", number)["state"] = "cancelled"
        self.row("reservations", number)["state"] = "released"
        self.drop("sales", number)
        self._shelf(+1)
        self._change(number, "confirmed", "cancelling")
        self._change(number, "cancelling", "cancelled")
        self.tell(number, "cancelled", 4)
        self.enter("reversed", number, -20)

    def refuse(self, number):
        self._order(number, "refused", shown=False, redeem_points=0)
        self.world.reservations.append({"order_id": number, "state": "refused"})

    def move(self, number, before, after, version):
        self.row("orders", number)["state"] = after
        self._change(number, before, after)
        self.tell(number, after, version)

    def tell(self, number, what, version):
        event = f"event-{number}-{what}"
        self.world.notifications.append(
            {
                "order_id": number,
                "event_id": event,
                "event_type": f"order.{what}",
                "order_version": version,
                "status": "sent",
                "recipient": "ada@shop.example",
                "last_error": None,
            }
        )
        self.world.mails.append(event)

    def enter(self, kind, order_id, balance, points=None):
        points = balance if points is None else points
        entry = {"order_id": order_id, "user_id": USER, "kind": kind}
        self.world.points_entries.append({**entry, "points": points, "balance": balance})
        user = self.row("users", USER)
        user["points"] += points
        user["points_balance"] += balance

    def wait(self, **changes):
        """A message in the outbox of Orders."""
        message = {"service": "microservice3", "lane": "saga", "subject": "order/1", "attempts": 1}
        message |= {"state": "waiting", "lease": None, "last_error": None}
        message |= {"now": NOW, "due_at": NOW}
        self.world.outbox.append(message | changes)

    def _order(self, number, state, **fields):
        requested = [{"product_id": PRODUCT, "quantity": 1}]
        order = {"id": number, "state": state, "reference": f"ref-{number}", "total": 20}
        self.world.orders.append({**order, "requested": requested, **fields})

    def _change(self, number, before, after):
        change = {"order_id": number, "from_status": before, "to_status": after}
        self.world.order_history.append(change)

    def _shelf(self, units):
        self.world.products[0]["stock"] += units
        self.world.products[0]["units_sold"] -= units


def broken_promises(case):
    return {int(name[0]) for name, found in check(case.events, case.world).items() if found}


def test_a_history_in_which_all_promises_are_kept_is_accepted():
    assert broken_promises(Case()) == set()


def test_an_unknown_answer_may_have_become_an_order_or_none():
    case = Case()
    case.refuse(6)
    case.place(6, 1.0, "info", None)
    case.accept(7)
    case.place(7, 1.0, "info", None)

    assert broken_promises(case) == set()


def test_a_refusal_after_silence_is_final_only_under_one_key():
    case = Case()
    case.accept(6)
    case.place(6, 1.0, "info", None)
    case.place(6, 2.0, "fail", 409, code="out_of_stock")

    assert broken_promises(case) == set()


def test_an_email_may_come_again_when_its_sender_was_killed():
    case = Case()
    case.world.mails.append(case.world.mails[-1])
    case.world.repeats_excused = 1

    assert broken_promises(case) == set()


def test_an_email_that_later_news_overtook_need_not_come():
    case = Case()
    case.world.notifications[1]["status"] = "suppressed"
    case.world.mails.remove("event-2-confirmed")

    assert broken_promises(case) == set()


# ---- one way each to break a promise: the function spoils a sound case


def below_zero(case):
    case.world.products[0]["stock"] = -1
    case.world.stock_entries[0]["delta"] = 2


def stock_vanished(case):
    case.world.products[0]["stock"] -= 1


def given_back_twice(case):
    case.world.products[0]["stock"] += 1


def accepted_and_no_row(case):
    case.place(6, 1.0, "ok", 201, id=6, status="confirmed", version=2)


def accepted_and_not_shown(case):
    case.refuse(6)
    case.place(6, 1.0, "ok", 202, id=6, status="pending", version=1)


def refused_and_shown(case):
    case.accept(6)
    case.place(6, 1.0, "fail", 409, code="out_of_stock")


def refused_under_the_key_of_an_order_that_is_shown(case):
    case.accept(6)
    case.place(6, 1.0, "info", None, key="k")
    case.place(6, 2.0, "fail", 409, key="k", code="out_of_stock")


def asked_again_and_two_orders(case):
    case.accept(6)
    case.row("orders", 6)["reference"] = "ref-5"


def told_of_two_orders(case):
    case.accept(6)
    case.place(5, 3.0, "ok", 201, id=6, status="confirmed", version=2)


def something_else_was_ordered(case):
    case.row("orders", 1)["requested"] = [{"product_id": PRODUCT, "quantity": 2}]


def earned_twice(case):
    case.enter("earned", 1, 20)
    case.enter("adjustment", None, -20)


def balance_without_entry(case):
    case.row("users", USER)["points_balance"] += 100


def confirmed_twice(case):
    case.again("order_history", 1)


def confirmed_and_released(case):
    case.row("reservations", 1)["state"] = "released"
    case.world.products[0]["stock"] += 1


def cancelled_and_held(case):
    case.row("reservations", 2)["state"] = "held"
    case.world.products[0]["stock"] -= 1


def held_for_nobody(case):
    case.world.reservations.append({"order_id": 77, "state": "held"})
    case.world.reservation_items.append({"order_id": 77, "product_id": PRODUCT, "quantity": 1})
    case.world.products[0]["stock"] -= 1


def delivered_and_refunded(case):
    case.row("redemptions", 4)["state"] = "refunded"


def refunded_in_the_ledger_alone(case):
    case.enter("refunded", 4, 100, points=0)


def refused_and_redeemed(case):
    case.world.redemptions.append({"order_id": 3, "state": "redeemed"})


def cancelled_and_earned(case):
    case.drop("points_entries", 2)
    case.row("users", USER)["points"] += 20
    case.row("users", USER)["points_balance"] += 20


def cancelled_and_reported(case):
    case.world.sales.append({"order_id": 2})


def sold_and_not_counted(case):
    case.world.products[0]["units_sold"] -= 1


def never_ended(case):
    case.refuse(6)
    case.row("orders", 6).update(state="pending")


def ended_late(case):
    case.world.late.append("2 orders have not ended 15.2 s after the last fault")


def lease_ran_out_unnoticed(case):
    case.wait(lease="0b7a", due_at=NOW - timedelta(seconds=3))


def still_waiting(case):
    case.wait()


def dead_letter(case):
    case.wait(state="dead", last_error="invalid")


def told_twice(case):
    case.again("notifications", 1, event_id="event-1-again")
    case.world.mails.append("event-1-again")


def never_told(case):
    case.drop("notifications", 1)
    case.world.mails.remove("event-1-confirmed")


def refused_and_told(case):
    case.tell(3, "cancelled", 2)


def queued_for_ever(case):
    case.row("notifications", 1)["status"] = "queued"
    case.world.mails.remove("event-1-confirmed")


def suppressed_for_nothing(case):
    case.row("notifications", 1)["status"] = "suppressed"
    case.world.mails.remove("event-1-confirmed")


def sent_by_the_books_alone(case):
    case.world.mails.remove("event-1-confirmed")


def sent_again_for_nothing(case):
    case.world.mails.append("event-1-confirmed")


def confirmed_mail_after_cancelled(case):
    case.world.mails.remove("event-2-confirmed")
    case.world.mails.append("event-2-confirmed")


def status_went_backwards(case):
    case.read(4, 4.0, "confirmed", 4)


def version_went_backwards(case):
    case.read(1, 4.0, "confirmed", 1)


def seen_and_gone(case):
    case.call("read", 4.0, "fail", 404, {"order": 1}, code="not_found")


def cancelled_for_a_client_and_not_in_the_end(case):
    case.call("cancelled", 4.0, "ok", 200, {"order": 1}, id=1, status="cancelled", version=4)


SPOILT = {
    1: [below_zero, stock_vanished, given_back_twice],
    2: [
        accepted_and_no_row,
        accepted_and_not_shown,
        refused_and_shown,
        refused_under_the_key_of_an_order_that_is_shown,
        asked_again_and_two_orders,
        told_of_two_orders,
        something_else_was_ordered,
    ],
    3: [earned_twice, balance_without_entry, confirmed_twice],
    4: [
        confirmed_and_released,
        cancelled_and_held,
        held_for_nobody,
        delivered_and_refunded,
        refunded_in_the_ledger_alone,
        refused_and_redeemed,
        cancelled_and_earned,
        cancelled_and_reported,
        sold_and_not_counted,
    ],
    5: [never_ended, ended_late, lease_ran_out_unnoticed, still_waiting, dead_letter],
    6: [
        told_twice,
        never_told,
        refused_and_told,
        queued_for_ever,
        suppressed_for_nothing,
        sent_by_the_books_alone,
        sent_again_for_nothing,
        confirmed_mail_after_cancelled,
    ],
    7: [
        status_went_backwards,
        version_went_backwards,
        seen_and_gone,
        cancelled_for_a_client_and_not_in_the_end,
    ],
}


@pytest.mark.parametrize(
    ("promise", "spoil"),
    [(promise, spoil) for promise, ways in SPOILT.items() for spoil in ways],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_broken_promise_is_found(promise, spoil):
    case = Case()

    spoil(case)

    assert promise in broken_promises(case)
