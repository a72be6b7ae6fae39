import pytest


@pytest.fixture
def an_order(customer, place, a_product):
    return place(customer, (a_product(), 2))


def change(client, order, status, tag=None):
    headers = {"If-Match": tag} if tag else {}
    return client.patch(f"/orders/{order.json['id']}", json={"status": status}, headers=headers)


def read(client, order, query="", tag=None):
    headers = {"If-None-Match": tag} if tag else {}
    return client.get(f"/orders/{order.json['id']}{query}", headers=headers)


def assert_stale(answer):
    assert (answer.status_code, answer.json["code"]) == (412, "precondition_failed")


def test_an_order_has_one_tag_wherever_it_is_shown(an_order, admin, customer):
    tags = [an_order.headers["ETag"]]
    assert read(customer, an_order).headers["ETag"] == tags[0]

    for status in ("shipped", "delivered"):
        tags.append(change(admin, an_order, status).headers["ETag"])
        assert read(customer, an_order).headers["ETag"] == tags[-1]
    assert len(set(tags)) == 3


def test_what_the_client_has_is_not_sent_again(an_order, customer):
    answer = read(customer, an_order, tag=an_order.headers["ETag"])

    assert (answer.status_code, answer.data) == (304, b"")
    assert answer.headers["ETag"] == an_order.headers["ETag"]


def test_an_order_with_its_products_has_no_tag(an_order, customer):
    for tag, status in ((an_order.headers["ETag"], 200), ("*", 304)):
        answer = read(customer, an_order, "?expand=products", tag=tag)
        assert (answer.status_code, "ETag" in answer.headers) == (status, False)


def test_an_order_that_has_gone_on_is_not_moved_by_who_does_not_know(an_order, admin, stock):
    stale = an_order.headers["ETag"]
    shipped = change(admin, an_order, "shipped", stale)
    assert shipped.status_code == 200

    assert_stale(change(admin, an_order, "delivered", stale))
    assert_stale(change(admin, an_order, "shipped", stale))
    assert read(admin, an_order).json == shipped.json
    assert change(admin, an_order, "delivered", shipped.headers["ETag"]).status_code == 200


def test_a_cancellation_of_what_has_changed_does_not_begin(an_order, admin, customer, rows):
    stale = an_order.headers["ETag"]
    rows("UPDATE orders SET version = version + 1")

    assert_stale(change(customer, an_order, "cancelled", stale))
    assert read(customer, an_order).json["status"] == "confirmed"
    fresh = read(customer, an_order).headers["ETag"]
    assert change(customer, an_order, "cancelled", fresh).status_code == 200


@pytest.mark.parametrize("status", ["shipped", "cancelled"])
@pytest.mark.parametrize("meanwhile", ["", ", state = 'delivered'"])
def test_the_version_is_compared_when_nobody_else_can_change_it(
    an_order, admin, overtaken, status, meanwhile
):
    answer = overtaken(
        f"UPDATE orders SET version = version + 1 {meanwhile}",
        lambda: change(admin, an_order, status, an_order.headers["ETag"]),
    )

    assert_stale(answer)
    assert read(admin, an_order).json["status"] == ("delivered" if meanwhile else "confirmed")


def test_somebody_elses_order_is_not_found_whatever_its_version(an_order, other_customer):
    assert change(other_customer, an_order, "cancelled", '"other"').status_code == 404
    assert read(other_customer, an_order, tag="*").status_code == 404
