import pytest

from chassis import testing

FIELDS = [
    "id",
    "user_id",
    "order_id",
    "event_id",
    "event_type",
    "recipient",
    "subject",
    "body",
    "status",
    "attempts",
    "last_error",
    "retry_at",
    "created_at",
    "sent_at",
]


@pytest.fixture
def told(user_event, order_event):
    """Two users, who were told three things: notifications 1 and 3 are the customer's."""
    user_event("user.registered", 7)
    user_event("user.registered", 8, email="grace@customers.invalid")
    order_event("order.confirmed", order_id=12, user_id=7)


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [entry["id"] for entry in answer.json]


def test_customers_see_their_own_notifications_newest_first(told, customer, other_customer):
    assert ids(customer.get("/notifications")) == [3, 1]
    assert ids(other_customer.get("/notifications")) == [2]


def test_an_administrator_sees_all(told, admin):
    assert ids(admin.get("/notifications")) == [3, 2, 1]


def test_a_notification_says_all_there_is_to_say(told, customer):
    answer = customer.get("/notifications/3")

    assert list(answer.json) == FIELDS
    assert answer.json["order_id"] == 12
    assert answer.json["status"] == "queued"
    assert answer.json["created_at"].endswith("Z")
    assert customer.get("/notifications").json[0] == answer.json


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("user_id=7", [3, 1]),
        ("user_id=8", [2]),
        ("order_id=12", [3]),
        ("order_id=13", []),
        ("status=suppressed", [2]),
        ("status=sent", []),
        ("event_type=user.registered", [2, 1]),
        ("event_type=user.updated", []),
        ("event_type=user.registered&user_id=7&status=queued", [1]),
        ("limit=2", [3, 2]),
        ("limit=2&page=2", [1]),
        ("page=9", []),
    ],
)
def test_a_list_can_be_narrowed(filters, found, told, admin):
    assert ids(admin.get(f"/notifications?{filters}")) == found


def test_a_page_tells_of_the_others(told, admin):
    answer = admin.get("/notifications?limit=2")

    assert '"total":3' in answer.headers["X-Pagination"].replace(" ", "")
    assert '</api/service4/notifications?limit=2&page=2>; rel="next"' in answer.headers["Link"]


def test_a_customer_who_asks_for_those_of_somebody_else_gets_none(told, customer):
    assert ids(customer.get("/notifications?user_id=8")) == []


def test_a_notification_of_somebody_else_does_not_exist(told, other_customer, admin):
    answer = other_customer.get("/notifications/3")

    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert admin.get("/notifications/3").status_code == 200


@pytest.mark.parametrize("number", ["4711", "0", str(2**63), "9" * 30])
def test_what_is_not_there_is_not_found(number, told, admin):
    for answer in (
        admin.get(f"/notifications/{number}"),
        admin.post(f"/notifications/{number}/retry"),
        admin.post(f"/notifications/{number}/give-up"),
    ):
        assert (answer.status_code, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "query",
    [
        "status=lost",
        "event_type=user.renamed",
        "user_id=seven",
        "user_id=0",
        "order_id=-1",
        "order_id=1.5",
        "user_id=99999999999999999999",
        "page=0",
        "limit=0",
        "limit=101",
        "sort=oldest",
        "after=&page=1",
    ],
)
def test_a_query_that_makes_no_sense_is_refused(query, admin):
    answer = admin.get(f"/notifications?{query}")

    assert (answer.status_code, answer.json["code"]) == (422, "invalid")
    assert query.partition("=")[0] in answer.json["errors"]["query"]


def test_only_those_who_are_signed_in_may_read(told, anonymous, users_service):
    for path in ("/notifications", "/notifications/1"):
        assert anonymous.get(path).status_code == 401
        assert users_service.get(path).status_code == 403


def test_what_is_no_path_or_method_is_told_apart(admin):
    assert admin.get("/letters").json["code"] == "no_route"
    answer = admin.post("/notifications", json={})
    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


def test_openapi_describes_every_route_and_nothing_of_later_releases(app):
    described = testing.document_of(app)

    assert {path for path in described["paths"] if "notif" in path or "internal" in path} == {
        "/notifications",
        "/notifications/{notification_id}",
        "/notifications/{notification_id}/retry",
        "/notifications/{notification_id}/give-up",
        "/internal/events",
    }
