import math
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis import wire

numbers = count(1)


def refusal(answer):
    return answer.status_code, answer.json["code"]


def order_event(kind, *, order_id, user_id, event_id=None, total="120.99", **more):
    return {
        "specversion": "1.0",
        "id": event_id or f"event-{next(numbers)}",
        "source": "/microservice3",
        "type": f"order.{kind}",
        "subject": f"order/{order_id}",
        "time": "2026-01-31T09:30:00Z",
        "data": {
            "order_id": order_id,
            "user_id": user_id,
            "version": 2,
            "status": kind,
            "total": Decimal(total),
            "currency": "EUR",
            "items": [{"product_id": 1, "quantity": 1}],
            **more,
        },
    }


@pytest.fixture
def send(orders_service):
    """Returns a function that sends an event as the orders service does."""

    def post(event):
        return orders_service.post(
            "/internal/events",
            data=wire.dumps(event),
            content_type="application/cloudevents+json",
        )

    return post


@pytest.fixture
def hear(send):
    """Returns a function that makes the service hear of an order, and sees that it took it in."""

    def heard(kind, **fields):
        answer = send(order_event(kind, **fields))
        assert answer.status_code == 204, answer.text

    return heard


@pytest.fixture
def points_of(admin):
    """Returns a function: (points, points_balance, status) of a user."""

    def found(user):
        body = admin.get(f"/users/{user.id}").json
        return body["points"], body["points_balance"], body["status"]

    return found


class TestAdjusting:
    def adjust(self, caller, user, points, reason="A late parcel"):
        return caller.post(f"/users/{user.id}/points", json={"points": points, "reason": reason})

    @pytest.mark.parametrize(
        ("points", "status"),
        [(50, "Bronze"), (51, "Silver"), (100, "Silver"), (101, "Gold"), (1_000_000, "Gold")],
    )
    def test_points_make_the_status(self, admin, a_user, rows, points, status):
        ada = a_user()

        answer = self.adjust(admin, ada, points)

        assert answer.status_code == 200
        assert answer.json["points"] == answer.json["points_balance"] == points
        assert (answer.json["status"], answer.json["version"]) == (status, 2)
        assert rows("SELECT kind, order_id, points, balance, reason FROM points_entries") == [
            ("adjustment", None, points, points, "A late parcel")
        ]

    def test_only_a_rise_is_announced(self, admin, a_user, announced):
        ada = a_user(points=60)

        for points in (1, 100, -150, 50):
            self.adjust(admin, ada, points)

        promotions = [(data["status"], data["version"]) for _, data in announced("user.promoted")]
        assert promotions == [("Gold", 3), ("Silver", 5)]

    def test_a_negative_adjustment_lowers_points_and_status(self, admin, a_user, points_of):
        ada = a_user(points=101)

        assert self.adjust(admin, ada, -101).status_code == 200

        assert points_of(ada) == (0, 0, "Bronze")

    def test_nobody_falls_below_zero(self, admin, a_user, points_of, rows):
        ada = a_user(points=60)

        assert refusal(self.adjust(admin, ada, -61)) == (409, "not_enough_points")

        assert points_of(ada) == (60, 60, "Silver")
        assert rows("SELECT count(*) FROM points_entries") == [(1,)]

    def test_the_balance_counts_too_and_giving_is_always_allowed(
        self, admin, a_user, hear, points_of
    ):
        ada = a_user()
        hear("confirmed", order_id=1, user_id=ada.id, total="60")
        self.adjust(admin, ada, -60)
        hear("cancelled", order_id=1, user_id=ada.id)
        assert points_of(ada) == (0, -60, "Bronze")

        assert self.adjust(admin, ada, 20).status_code == 200

        assert points_of(ada) == (20, -40, "Bronze")
        assert refusal(self.adjust(admin, ada, -1)) == (409, "not_enough_points")

    def test_adjustments_at_once_all_count(self, admin, a_user, points_of):
        ada = a_user(points=10)

        with ThreadPoolExecutor(2) as threads:
            taken = [threads.submit(self.adjust, admin, ada, -3) for _ in range(5)]
            answers = sorted(answer.result().status_code for answer in taken)

        assert answers == [200, 200, 200, 409, 409]
        assert points_of(ada) == (1, 1, "Bronze")

    @pytest.mark.parametrize(
        ("body", "wrong"),
        [
            ({}, {"points", "reason"}),
            ({"points": 0, "reason": "x"}, {"points"}),
            ({"points": 1_000_001, "reason": "x"}, {"points"}),
            ({"points": -1_000_001, "reason": "x"}, {"points"}),
            ({"points": 1.0, "reason": "x"}, {"points"}),
            ({"points": "1", "reason": "x"}, {"points"}),
            ({"points": True, "reason": "x"}, {"points"}),
            ({"points": 1, "reason": ""}, {"reason"}),
            ({"points": 1, "reason": "x" * 501}, {"reason"}),
            ({"points": 1, "reason": "nul\0"}, {"reason"}),
            ({"points": 1, "reason": "x", "order_id": 5}, {"order_id"}),
        ],
    )
    def test_a_bad_adjustment_is_refused(self, admin, a_user, points_of, body, wrong):
        ada = a_user()

        answer = admin.post(f"/users/{ada.id}/points", json=body)

        assert refusal(answer) == (422, "invalid")
        assert answer.json["errors"]["json"].keys() == wrong
        assert points_of(ada) == (0, 0, "Bronze")

    def test_only_admins_adjust(self, a_user, as_holder, anonymous, orders_service, admin):
        ada = a_user()

        assert refusal(self.adjust(anonymous, ada, 1)) == (401, "unauthenticated")
        assert refusal(self.adjust(as_holder(ada), ada, 1)) == (403, "forbidden")
        assert refusal(self.adjust(orders_service, ada, 1)) == (403, "forbidden")
        ada.id = 4711
        assert refusal(self.adjust(admin, ada, 1)) == (404, "not_found")


class TestPromoting:
    def test_the_status_follows_the_points_and_a_rise_is_announced(
        self, admin, orders_service, a_user, rows, announced
    ):
        ada = a_user(username="Ada", points=101)

        for caller, path in (
            (admin, f"/users/{ada.id}/promotion"),
            (orders_service, f"/users/{ada.id}/promotion"),
            (admin, "/user/promote/aDA"),
            (orders_service, "/user/promote/Ada"),
        ):
            rows("UPDATE users SET status = 'Bronze' RETURNING id")
            answer = caller.put(path)
            assert (answer.status_code, answer.json["status"]) == (200, "Gold")

        assert len(announced("user.promoted")) == 4

    def test_a_status_that_is_right_stays_and_is_no_change(self, admin, a_user, announced):
        ada = a_user(points=60)

        answer = admin.put(f"/users/{ada.id}/promotion")

        assert answer.json == vars(ada)
        assert announced("user.promoted") == []

    @pytest.mark.parametrize("path", ["/users/1/promotion", "/user/promote/ada"])
    def test_nobody_promotes_themselves(self, a_user, as_holder, anonymous, path):
        ada = a_user(username="ada")

        assert refusal(anonymous.put(path)) == (401, "unauthenticated")
        assert refusal(as_holder(ada).put(path)) == (403, "forbidden")

    @pytest.mark.parametrize("path", ["/users/4711/promotion", "/user/promote/nobody"])
    def test_who_is_not_there_is_not_promoted(self, admin, path):
        assert refusal(admin.put(path)) == (404, "not_found")


class TestEarning:
    def test_a_confirmed_order_earns_its_whole_units(self, a_user, hear, points_of, rows):
        ada = a_user()

        hear("confirmed", order_id=7, user_id=ada.id, total="120.99")

        assert points_of(ada) == (120, 120, "Gold")
        assert rows("SELECT kind, order_id, points, balance FROM points_entries") == [
            ("earned", 7, 120, 120)
        ]

    def test_a_promotion_by_an_order_is_announced(self, a_user, hear, announced):
        ada = a_user(username="Ada", email="ada@example.com", full_name="Ada Lovelace")

        hear("confirmed", order_id=7, user_id=ada.id, total="51")

        assert announced("user.promoted") == [
            (
                "user.promoted",
                {
                    "user_id": ada.id,
                    "username": "Ada",
                    "email": "ada@example.com",
                    "email_confirmed": True,
                    "full_name": "Ada Lovelace",
                    "status": "Silver",
                    "version": 2,
                },
            )
        ]

    def test_the_same_event_twice_earns_once(self, a_user, hear, points_of):
        ada = a_user()

        for _ in range(2):
            hear("confirmed", order_id=7, user_id=ada.id, event_id="once")

        assert points_of(ada) == (120, 120, "Gold")

    def test_an_event_is_known_by_its_id_whatever_it_says(self, a_user, hear, points_of):
        ada = a_user()

        for order_id in (7, 8):
            hear("confirmed", order_id=order_id, user_id=ada.id, event_id="once")

        assert points_of(ada) == (120, 120, "Gold")

    def test_an_order_earns_once_even_by_two_events(self, a_user, hear, points_of):
        ada = a_user()

        for _ in range(2):
            hear("confirmed", order_id=7, user_id=ada.id)

        assert points_of(ada) == (120, 120, "Gold")

    def test_a_cancelled_order_takes_back_what_it_earned_once(
        self, a_user, hear, points_of, announced
    ):
        ada = a_user()
        hear("confirmed", order_id=7, user_id=ada.id)
        hear("confirmed", order_id=8, user_id=ada.id, total="30")

        for _ in range(2):
            hear("cancelled", order_id=7, user_id=ada.id)

        assert points_of(ada) == (30, 30, "Bronze")
        assert len(announced("user.promoted")) == 1

    def test_a_reversal_takes_the_balance_below_zero_but_not_the_points(
        self, admin, a_user, hear, points_of, rows
    ):
        ada = a_user()
        hear("confirmed", order_id=7, user_id=ada.id)
        admin.post(f"/users/{ada.id}/points", json={"points": -100, "reason": "Mistake"})

        hear("cancelled", order_id=7, user_id=ada.id)

        assert points_of(ada) == (0, -100, "Bronze")
        assert rows("SELECT points, balance FROM points_entries WHERE kind = 'reversed'") == [
            (-20, -120)
        ]

    def test_an_earning_that_comes_after_its_reversal_is_void(self, a_user, hear, admin, rows):
        ada = a_user()

        hear("cancelled", order_id=7, user_id=ada.id)
        hear("confirmed", order_id=7, user_id=ada.id)

        assert admin.get(f"/users/{ada.id}").json == vars(ada)
        assert rows("SELECT kind, points, balance FROM points_entries") == [("reversed", 0, 0)]

    @pytest.mark.parametrize("kind", ["confirmed", "cancelled"])
    def test_events_of_users_who_are_gone_are_let_by(self, hear, rows, kind):
        hear(kind, order_id=7, user_id=4711)

        assert rows("SELECT count(*) FROM points_entries") == [(0,)]

    def test_events_that_arrive_at_once_all_count(self, a_user, hear, points_of):
        ada = a_user()

        def confirmed(order_id):
            hear("confirmed", order_id=order_id, user_id=ada.id, total="10")

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(confirmed, range(1, 11)))

        assert points_of(ada) == (100, 100, "Silver")

    @settings(
        max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
    )
    @given(
        happenings=st.lists(
            st.one_of(
                st.tuples(st.sampled_from(["confirmed", "cancelled"]), st.integers(0, 3)),
                st.tuples(st.just("adjusted"), st.integers(-150, 150).filter(bool)),
            ),
            max_size=12,
        )
    )
    def test_whatever_happens_the_ledger_adds_up_and_nothing_counts_twice(
        self, admin, a_user, hear, points_of, rows, happenings
    ):
        ada, first_order = a_user(), next(numbers) * 10
        totals = [Decimal("0.99"), Decimal("51.50"), Decimal("101"), Decimal("7")]
        adjusted, earned = 0, {}

        for what, which in happenings:
            if what == "adjusted":
                answer = admin.post(
                    f"/users/{ada.id}/points", json={"points": which, "reason": "Test"}
                )
                adjusted += which if answer.status_code == 200 else 0
            else:
                hear(what, order_id=first_order + which, user_id=ada.id, total=totals[which])
                if what == "cancelled":
                    earned[which] = 0
                else:
                    earned.setdefault(which, math.floor(totals[which]))

        points, balance, status = points_of(ada)
        assert points >= max(0, balance)
        assert balance == adjusted + sum(earned.values())
        assert status == ("Gold" if points > 100 else "Silver" if points > 50 else "Bronze")
        assert rows(
            "SELECT coalesce(sum(points), 0), coalesce(sum(balance), 0)"
            "  FROM points_entries WHERE user_id = %(id)s",
            id=ada.id,
        ) == [(points, balance)]

    @pytest.mark.parametrize(
        "broken",
        [
            {"type": "order.eaten"},
            {"type": "order.shipped"},
            {"id": ""},
            {"data": {}},
            {"data": {"order_id": 7, "user_id": 1}},
            {"data": {"order_id": 7, "user_id": 1, "total": "12"}},
            {"data": {"order_id": 7, "user_id": 1, "total": -1}},
            {"data": {"order_id": 7, "user_id": None, "total": 1}},
            {"data": {"order_id": 0, "user_id": 1, "total": 1}},
            {"data": "order 7"},
        ],
    )
    def test_an_event_of_another_form_is_refused(self, a_user, send, points_of, broken):
        ada = a_user()

        answer = send(order_event("confirmed", order_id=7, user_id=ada.id) | broken)

        assert refusal(answer) == (422, "invalid")
        assert points_of(ada) == (0, 0, "Bronze")

    def test_only_the_orders_service_tells_of_orders(
        self, admin, anonymous, products_service, users_service
    ):
        event = order_event("confirmed", order_id=7, user_id=1)

        for caller in (products_service, users_service):
            answer = caller.post(
                "/internal/events",
                data=wire.dumps(event),
                content_type="application/cloudevents+json",
            )
            assert refusal(answer) == (403, "forbidden")
        for caller in (admin, anonymous):
            assert refusal(caller.post("/internal/events")) == (404, "no_route")
