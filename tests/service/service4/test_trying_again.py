import pytest


@pytest.fixture
def failed(user_event, order_event, postbox, work):
    """Notification 1, of an order in its first version, was refused by the mail server."""
    user_event("user.updated", version=1)
    order_event("order.confirmed", version=1)
    postbox.refusal = "550 No such user"
    work()
    postbox.refusal = None


def test_what_has_failed_is_sent_again_when_an_administrator_says_so(
    failed, admin, notifications, work, postbox
):
    answer = admin.post("/notifications/1/retry")

    assert answer.status_code == 202
    assert (answer.json["id"], answer.json["status"], answer.json["last_error"]) == (
        1,
        "queued",
        None,
    )
    work()
    (found,) = notifications()
    assert (found["status"], found["attempts"]) == ("sent", 2)
    assert len(postbox.envelopes) == 1


def test_it_goes_to_the_address_that_is_known_by_now(failed, admin, user_event, work, postbox):
    user_event("user.updated", version=2, email="right@example.com", full_name="Countess")

    answer = admin.post("/notifications/1/retry")
    work()

    assert answer.json["recipient"] == "right@example.com"
    assert postbox.envelopes[0].rcpt_tos == ["right@example.com"]
    assert "Dear Countess" in answer.json["body"]


def test_it_is_not_sent_after_later_news_of_the_same_order(
    failed, admin, order_event, work, postbox
):
    order_event("order.cancelled", version=2)
    work()

    answer = admin.post("/notifications/1/retry")
    work()

    assert (answer.status_code, answer.json["status"]) == (202, "suppressed")
    assert answer.json["last_error"].startswith("overtaken")
    assert len(postbox.envelopes) == 1


def test_it_is_not_sent_to_a_user_who_has_left(failed, admin, user_event, work, postbox):
    user_event("user.deleted", version=2)

    answer = admin.post("/notifications/1/retry")
    work()

    assert (answer.status_code, answer.json["status"]) == (202, "suppressed")
    assert postbox.envelopes == []


def test_twice_in_a_row_sends_once(failed, admin, work, postbox):
    for _ in range(2):
        assert admin.post("/notifications/1/retry").status_code == 202
    work()

    assert len(postbox.envelopes) == 1


@pytest.mark.parametrize("email", ["ada@example.com", "ada@customers.invalid"])
def test_what_is_sent_or_suppressed_is_not_tried_again(email, admin, user_event, work, postbox):
    user_event("user.registered", email=email)
    work()

    answer = admin.post("/notifications/1/retry")

    assert (answer.status_code, answer.json["code"]) == (409, "not_failed")


@pytest.mark.parametrize("action", ["retry", "give-up"])
def test_only_an_administrator_may_say_so(action, failed, anonymous, customer, users_service):
    path = f"/notifications/1/{action}"
    assert anonymous.post(path).status_code == 401
    assert customer.post(path).status_code == 403
    assert users_service.post(path).status_code == 403
