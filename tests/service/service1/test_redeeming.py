from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def redeem(caller, order_id, user_id, points):
    body = {"user_id": user_id, "points": points}
    return caller.put(f"/internal/redemptions/{order_id}", json=body)


def refund(caller, order_id):
    return caller.delete(f"/internal/redemptions/{order_id}")


def state(answer):
    assert answer.status_code == 200, answer.text
    return answer.json["state"]


def refusal(answer):
    return answer.status_code, answer.json["code"]


@pytest.fixture
def balance_of(admin):
    return lambda user: admin.get(f"/users/{user.id}").json["points_balance"]


@pytest.fixture
def entries(rows):
    """Returns a function: what redemptions have written into the ledger."""
    return lambda: rows(
        "SELECT kind, order_id, points, balance FROM points_entries"
        " WHERE kind IN ('redeemed', 'refunded') ORDER BY id"
    )


def test_redeeming_spends_the_balance_and_leaves_the_status(
    orders_service, admin, a_user, entries, announced
):
    ada = a_user(points=120)

    answer = redeem(orders_service, 7, ada.id, 100)

    assert (answer.status_code, answer.json) == (200, {"order_id": 7, "state": "redeemed"})
    user = admin.get(f"/users/{ada.id}").json
    assert (user["points"], user["points_balance"], user["status"]) == (120, 20, "Gold")
    assert user["version"] == ada.version + 1
    assert entries() == [("redeemed", 7, 0, -100)]
    assert announced("user.promoted") == []


def test_the_last_point_can_be_spent_and_no_more(orders_service, a_user, balance_of):
    ada = a_user(points=100)

    assert state(redeem(orders_service, 7, ada.id, 100)) == "redeemed"
    assert refusal(redeem(orders_service, 8, ada.id, 1)) == (409, "not_enough_points")
    assert balance_of(ada) == 0


def test_redeeming_twice_takes_once(orders_service, a_user, balance_of, entries):
    ada = a_user(points=120)

    first, second = (redeem(orders_service, 7, ada.id, 50) for _ in range(2))

    assert (first.status_code, first.json) == (second.status_code, second.json)
    assert balance_of(ada) == 70
    assert len(entries()) == 1


def test_only_what_an_order_asks_first_counts(orders_service, a_user, balance_of):
    ada, bob = a_user(points=120), a_user(points=120)
    redeem(orders_service, 7, ada.id, 50)

    assert state(redeem(orders_service, 7, ada.id, 60)) == "redeemed"
    assert state(redeem(orders_service, 7, bob.id, 50)) == "redeemed"

    assert (balance_of(ada), balance_of(bob)) == (70, 120)


def test_too_few_points_are_a_refusal_that_stays(orders_service, admin, a_user, rows, entries):
    ada = a_user(points=99)
    first = redeem(orders_service, 7, ada.id, 100)
    admin.post(f"/users/{ada.id}/points", json={"points": 500, "reason": "A gift"})

    again = redeem(orders_service, 7, ada.id, 100)

    for answer in (first, again):
        assert refusal(answer) == (409, "not_enough_points")
        assert (answer.json["requested"], answer.json["balance"]) == (100, 99)
    assert entries() == []
    assert rows("SELECT state, user_id, points, balance FROM redemptions") == [
        ("declined", ada.id, 100, 99)
    ]


def test_a_refusal_cannot_be_refunded_and_stays_one(orders_service, a_user, balance_of, entries):
    ada = a_user(points=99)
    redeem(orders_service, 7, ada.id, 100)

    assert state(refund(orders_service, 7)) == "declined"

    assert refusal(redeem(orders_service, 7, ada.id, 100)) == (409, "not_enough_points")
    assert balance_of(ada) == 99
    assert entries() == []


def test_a_balance_below_zero_redeems_nothing(orders_service, a_user, rows, balance_of):
    ada = a_user(points=120)
    rows("UPDATE users SET points_balance = -20 RETURNING id")

    answer = redeem(orders_service, 7, ada.id, 1)

    assert refusal(answer) == (409, "not_enough_points")
    assert (answer.json["requested"], answer.json["balance"]) == (1, -20)
    assert balance_of(ada) == -20


def test_a_refund_gives_back_once(orders_service, admin, a_user, entries):
    ada = a_user(points=120)
    redeem(orders_service, 7, ada.id, 100)

    for _ in range(2):
        answer = refund(orders_service, 7)
        assert (answer.status_code, answer.json) == (200, {"order_id": 7, "state": "refunded"})

    user = admin.get(f"/users/{ada.id}").json
    assert (user["points"], user["points_balance"], user["status"]) == (120, 120, "Gold")
    assert entries() == [("redeemed", 7, 0, -100), ("refunded", 7, 0, 100)]


def test_what_was_refunded_can_no_longer_be_redeemed(orders_service, a_user, balance_of):
    ada = a_user(points=120)
    redeem(orders_service, 7, ada.id, 100)
    refund(orders_service, 7)

    assert refusal(redeem(orders_service, 7, ada.id, 100)) == (409, "too_late")
    assert balance_of(ada) == 120


def test_refunded_before_it_was_redeemed_it_can_no_longer_be_redeemed(
    orders_service, a_user, balance_of, entries
):
    ada = a_user(points=120)
    assert state(refund(orders_service, 7)) == "refunded"

    assert refusal(redeem(orders_service, 7, ada.id, 100)) == (409, "too_late")

    assert state(refund(orders_service, 7)) == "refunded"
    assert balance_of(ada) == 120
    assert entries() == []


def test_who_is_gone_has_nothing_to_redeem(orders_service):
    for _ in range(2):
        answer = redeem(orders_service, 7, 4711, 100)
        assert refusal(answer) == (409, "not_enough_points")
        assert (answer.json["requested"], answer.json["balance"]) == (100, 0)
    assert state(refund(orders_service, 7)) == "declined"


def test_a_refund_to_who_is_gone_is_written_down(orders_service, admin, a_user, rows):
    ada = a_user(points=120)
    redeem(orders_service, 7, ada.id, 100)
    assert admin.delete(f"/users/{ada.id}").status_code == 204

    assert state(redeem(orders_service, 7, ada.id, 100)) == "redeemed"
    assert state(refund(orders_service, 7)) == "refunded"

    assert refusal(redeem(orders_service, 7, ada.id, 100)) == (409, "too_late")
    assert rows("SELECT state, user_id FROM redemptions") == [("refunded", ada.id)]
    assert rows("SELECT count(*) FROM points_entries") == [(0,)]


def test_an_administrator_cannot_take_points_that_are_spent(orders_service, admin, a_user):
    ada = a_user(points=120)
    redeem(orders_service, 7, ada.id, 100)

    answer = admin.post(f"/users/{ada.id}/points", json={"points": -21, "reason": "Mistake"})

    assert refusal(answer) == (409, "not_enough_points")


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"user_id", "points"}),
        ({"user_id": 1, "points": 0}, {"points"}),
        ({"user_id": 1, "points": -5}, {"points"}),
        ({"user_id": 1, "points": 1.5}, {"points"}),
        ({"user_id": 1, "points": "5"}, {"points"}),
        ({"user_id": None, "points": 5}, {"user_id"}),
        ({"user_id": 1, "points": 5, "reason": "x"}, {"reason"}),
    ],
)
def test_a_bad_redemption_is_refused_and_not_written_down(orders_service, rows, body, wrong):
    answer = orders_service.put("/internal/redemptions/7", json=body)

    assert refusal(answer) == (422, "invalid")
    assert answer.json["errors"]["json"].keys() == wrong
    assert rows("SELECT count(*) FROM redemptions") == [(0,)]


def test_only_the_orders_service_redeems(
    anonymous, admin, customer, users_service, products_service, notifications_service
):
    for caller in (users_service, products_service, notifications_service):
        assert refusal(redeem(caller, 7, 1, 1)) == (403, "forbidden")
        assert refusal(refund(caller, 7)) == (403, "forbidden")
    for caller in (anonymous, admin, customer):
        assert refusal(redeem(caller, 7, 1, 1)) == (404, "no_route")
        assert refusal(refund(caller, 7)) == (404, "no_route")


def test_orders_that_redeem_at_once_never_spend_more_than_there_is(as_service, a_user, balance_of):
    ada = a_user(points=100)

    def buy(order_id):
        return redeem(as_service("microservice3"), order_id, ada.id, 30)

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(buy, range(1, 9)))

    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [409] * 5
    assert {a.json["balance"] for a in answers if a.status_code == 409} == {10}
    assert balance_of(ada) == 10


def test_the_same_redemption_many_times_at_once_takes_once(as_service, a_user, balance_of):
    ada = a_user(points=100)

    with ThreadPoolExecutor(4) as threads:
        answers = [
            threads.submit(redeem, as_service("microservice3"), 7, ada.id, 30) for _ in range(8)
        ]

    assert {answer.result().status_code for answer in answers} == {200}
    assert balance_of(ada) == 70


def test_redeeming_and_refunding_at_once_leaves_nothing_spent(
    as_service, a_user, balance_of, entries
):
    ada = a_user(points=100)

    def give_up(order_id):
        with ThreadPoolExecutor(3) as threads:
            first = threads.submit(redeem, as_service("microservice3"), order_id, ada.id, 30)
            refunds = [
                threads.submit(refund, as_service("microservice3"), order_id) for _ in range(2)
            ]
        assert first.result().status_code in (200, 409)
        assert [state(answer.result()) for answer in refunds] == ["refunded"] * 2

    for order_id in range(1, 21):
        give_up(order_id)

    assert balance_of(ada) == 100
    assert sum(balance for *_, balance in entries()) == 0


def test_redemptions_and_other_changes_of_a_user_never_wait_for_each_other_in_a_circle(
    as_service, admin, a_user, balance_of
):
    users = [a_user(points=1000), a_user(points=1000)]

    def change(number):
        user, orders = users[number % 2], as_service("microservice3")
        gift = admin.post(f"/users/{user.id}/points", json={"points": 1, "reason": "A gift"})
        answers = [gift, redeem(orders, number, user.id, 10)]
        if number % 4 < 2:
            answers.append(refund(orders, number))
        return {answer.status_code for answer in answers}

    with ThreadPoolExecutor(4) as threads:
        statuses = set().union(*threads.map(change, range(1, 41)))

    assert statuses == {200}
    assert [balance_of(user) for user in users] == [1000 + 20 - 100] * 2


def test_a_user_who_is_deleted_at_the_same_time_is_in_nobodys_way(as_service, admin, a_user):
    def spend(user):
        return redeem(as_service("microservice3"), user.id, user.id, 10).status_code

    with ThreadPoolExecutor(2) as threads:
        for user in [a_user(points=10) for _ in range(10)]:
            spent, deleted = (
                threads.submit(spend, user),
                threads.submit(admin.delete, f"/users/{user.id}"),
            )
            assert deleted.result().status_code == 204
            assert spent.result() in (200, 409)
            assert state(refund(as_service("microservice3"), user.id)) in ("refunded", "declined")


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    calls=st.lists(
        st.tuples(st.sampled_from(["redeem", "refund"]), st.integers(0, 2)), max_size=12
    ),
    opening=st.integers(0, 100),
)
def test_whatever_is_called_in_whatever_order_follows_the_protocol(
    orders_service, a_user, balance_of, rows, calls, opening
):
    """The states of a redemption as the model of the order saga has them."""
    ada, wanted = a_user(points=opening), [10, 40, 60]
    first_order = ada.id * 10
    states, balance = {}, opening

    for call, which in calls:
        before = states.get(which)
        if call == "redeem":
            answer = redeem(orders_service, first_order + which, ada.id, wanted[which])
            if before is None:
                before = "redeemed" if balance >= wanted[which] else "declined"
                balance -= wanted[which] if before == "redeemed" else 0
            expected = {"redeemed": 200, "declined": "not_enough_points", "refunded": "too_late"}
            states[which] = before
            assert answer.json.get("code", 200) == expected[before]
        else:
            balance += wanted[which] if before == "redeemed" else 0
            states[which] = "declined" if before == "declined" else "refunded"
            assert state(refund(orders_service, first_order + which)) == states[which]
        assert balance_of(ada) == balance

    assert rows(
        "SELECT coalesce(sum(balance), 0) FROM points_entries WHERE user_id = %(id)s", id=ada.id
    ) == [(balance,)]
