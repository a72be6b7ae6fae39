import pytest

from tests.service.conftest import CUSTOMER, OTHER_CUSTOMER

LIST = "id user_id status reason subtotal discount total currency redeem_points reference version"


@pytest.fixture
def three_orders(admin, customer, a_product, place):
    """Three orders of the administrator's, on three days."""
    lamp = a_product()
    days = ("2026-01-02", "2026-01-01", "2026-01-03")
    return [
        place(admin, (lamp, 1), reference=f"R-{day}", placed_at=f"{day}T12:00:00Z").json
        for day in days
    ]


def test_orders_are_listed_newest_first_without_their_lines(admin, three_orders):
    listed = admin.get("/orders").json

    assert [order["placed_at"][:10] for order in listed] == [
        "2026-01-03",
        "2026-01-02",
        "2026-01-01",
    ]
    assert set(LIST.split()) | {"placed_at", "created_at", "updated_at"} == set(listed[0])


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ("from=2026-01-02", ["03", "02"]),
        ("to=2026-01-02", ["01"]),
        ("from=2026-01-02&to=2026-01-03", ["02"]),
        ("from=2026-01-02T12:00:00Z", ["03", "02"]),
        ("from=2026-01-02T12:00:01Z", ["03"]),
        ("to=2026-01-02T14:00:00%2B02:00", ["01"]),
        ("reference=R-2026-01-01", ["01"]),
        ("reference=R", []),
        ("status=confirmed", ["03", "02", "01"]),
        ("status=shipped", []),
        ("user_id=1", ["03", "02", "01"]),
        ("user_id=2", []),
        ("limit=1&page=2", ["02"]),
        ("page=9", []),
    ],
)
def test_filters(admin, three_orders, query, days):
    assert [order["placed_at"][8:10] for order in admin.get(f"/orders?{query}").json] == days


@pytest.mark.parametrize(
    "query",
    [
        "status=lost",
        "from=yesterday",
        "from=2026-01-02T12:00:00",
        "user_id=x",
        "page=0",
        "limit=101",
        "limit=1_0",
        "after=&page=1",
        "colour=red",
        "to=2026-13-01",
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(admin, query):
    answer = admin.get(f"/orders?{query}")

    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json["errors"]["query"]


def test_a_customer_sees_only_their_own(customer, other_customer, admin, place, a_product):
    lamp = a_product()
    own = place(customer, (lamp, 1)).json
    place(other_customer, (lamp, 1))

    assert [order["id"] for order in customer.get("/orders").json] == [own["id"]]
    assert customer.get(f"/orders?user_id={OTHER_CUSTOMER}").json == []
    assert len(admin.get("/orders").json) == 2
    assert len(admin.get(f"/orders?user_id={CUSTOMER}").json) == 1


def test_pages_are_told_in_the_headers(admin, three_orders):
    answer = admin.get("/orders?limit=2&status=confirmed")

    assert answer.headers["X-Pagination"] == (
        '{"total":3,"total_pages":2,"first_page":1,"last_page":2,"page":1,"next_page":2}'
    )
    assert (
        '</api/service3/orders?limit=2&status=confirmed&page=2>; rel="next"'
        in answer.headers["Link"]
    )


def test_an_order_can_be_shown_with_its_user_and_products(customer, place, a_product, network):
    lamp, shade = a_product(), a_product()
    order_id = place(customer, (lamp, 1), (shade, 1), (lamp, 1)).json["id"]

    plain = customer.get(f"/orders/{order_id}").json
    expanded = customer.get(f"/orders/{order_id}?expand=products,user").json

    assert "products" not in plain
    assert "unavailable" not in expanded
    assert [product["id"] for product in expanded["products"]] == [lamp.id, shade.id]
    assert expanded["user"] is None  # this customer has a token, but was never registered


def test_expand_knows_two_words(customer, place, a_product):
    order_id = place(customer, (a_product(), 1)).json["id"]

    assert customer.get(f"/orders/{order_id}?expand=history").status_code == 422


def test_an_order_that_does_not_exist_is_not_found(admin):
    for path in ("/orders/4711", f"/orders/{2**64}", "/orders/4711/history"):
        assert admin.get(path).json["code"] == "not_found"


def test_the_report_adds_up_by_day_what_still_stands(admin, a_product, place):
    lamp = a_product(price=10, stock=100)
    for day, quantity in (("01", 1), ("01", 2), ("02", 5)):
        place(
            admin,
            (lamp, quantity),
            reference=f"A{day}{quantity}",
            placed_at=f"2026-01-{day}T23:59:59Z",
        )
    gone = place(admin, (lamp, 7), reference="A9", placed_at="2026-01-01T00:00:00Z").json
    admin.patch(f"/orders/{gone['id']}", json={"status": "cancelled"})
    shipped = place(admin, (lamp, 1), reference="B1", placed_at="2026-01-02T00:00:00Z").json
    admin.patch(f"/orders/{shipped['id']}", json={"status": "shipped"})

    report = admin.get("/reports/sales")

    assert report.json == [
        {"date": "2026-01-01", "orders": 2, "units": 3, "revenue": 30.0},
        {"date": "2026-01-02", "orders": 2, "units": 6, "revenue": 60.0},
    ]
    assert b'"revenue":30.00' in report.data
    by_prefix = admin.get("/reports/sales?reference_prefix=A&from=2026-01-02").json
    assert [day["orders"] for day in by_prefix] == [1]


def test_the_report_is_for_administrators(customer, anonymous):
    assert customer.get("/reports/sales").status_code == 403
    assert anonymous.get("/reports/sales").status_code == 401


def test_a_prefix_is_taken_literally(admin, a_product, place):
    place(admin, (a_product(), 1), reference="AB")

    assert admin.get("/reports/sales?reference_prefix=%25").json == []
    assert admin.get("/reports/sales?reference_prefix=_").json == []


def test_orders_come_behind_a_cursor_each_once(admin, place, a_product, pages, rows):
    lamp = a_product(stock=100)
    ids = [
        place(admin, (lamp, 1), placed_at=f"2026-01-31T09:30:00.00000{number // 3}Z").json["id"]
        for number in range(8)
    ][::-1]  # newest first: ties, and moments that differ by a microsecond

    walk = pages(admin, "/orders?from=2026-01-01", limit=3)
    seen = [order["id"] for order in next(walk)]
    place(admin, (lamp, 1))  # newer than all: not for this walk
    late = place(admin, (lamp, 1), placed_at="2026-01-31T09:30:00.000001Z").json["id"]
    rows("UPDATE orders SET shown = false WHERE id = ANY(%(gone)s)", gone=[ids[2], ids[6]])
    rest = [[order["id"] for order in page] for page in walk]

    # the late one sorts before the last one seen, by its id: it has been passed by
    assert [seen, *rest] == [ids[:3], ids[3:6], [ids[7]]]
    assert late not in sum(rest, [])


def test_a_cursor_leads_nowhere_but_through_ones_own_orders(
    customer, other_customer, admin, place, a_product, cursor
):
    lamp = a_product()
    own = [place(customer, (lamp, 1)).json["id"] for _ in range(2)]
    theirs = [place(other_customer, (lamp, 1)).json["id"] for _ in range(2)]
    taken = cursor(admin, "/orders")

    assert [o["id"] for o in customer.get(f"/orders?after={taken}").json] == own[::-1]
    assert [o["id"] for o in other_customer.get(f"/orders?after={taken}").json] == [theirs[0]]
    assert customer.get(f"/orders?user_id={OTHER_CUSTOMER}&after=").json == []
    wrong = customer.get(f"/orders?status=confirmed&after={taken}")
    assert (wrong.status_code, wrong.json["code"]) == (422, "bad_cursor")
