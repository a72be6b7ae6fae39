import time
from contextlib import closing, contextmanager
from decimal import Decimal

import psycopg2
import pytest

from chassis import wire
from microservice2.logic import catalogue

FIELDS = ["id", "sku", "name", "description", "category", "price", "currency", "stock"]
FIELDS += ["units_sold", "image_url", "version", "created_at", "updated_at"]
LAMP = {"sku": "LAMP", "name": "Desk lamp", "category": "Lighting", "price": 29.9, "stock": 3}


def test_a_new_product_is_shown_with_all_its_fields(admin, anonymous):
    answer = admin.post("/products", json=LAMP)

    assert answer.status_code == 201
    assert list(answer.json) == FIELDS
    assert answer.headers["Location"] == f"/api/service2/products/{answer.json['id']}"
    assert b'"price":29.90' in answer.data
    assert (answer.json["currency"], answer.json["version"]) == ("EUR", 1)
    assert anonymous.get(f"/products/{answer.json['id']}").json == answer.json


@pytest.mark.parametrize(
    ("price", "stored"),
    [
        ("0", "0.00"),
        ("29.9", "29.90"),
        ("29.90", "29.90"),
        ("1e2", "100.00"),
        ("9999999999.99", "9999999999.99"),
        ("0.10000", "0.10"),
        ("-0", "0.00"),
    ],
)
def test_a_price_is_kept_to_the_cent(admin, price, stored):
    body = f'{{"sku":"A","name":"A","category":"A","stock":0,"price":{price}}}'

    answer = admin.post("/products", data=body, content_type="application/json")

    assert f'"price":{stored}'.encode() in answer.data
    assert wire.loads(answer.data)["price"] == Decimal(stored)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price", "29.90"),
        ("price", -0.01),
        ("price", 0.001),
        ("price", 10_000_000_000),
        ("price", True),
        ("price", None),
        ("sku", ""),
        ("sku", "x" * 65),
        ("sku", "a\0b"),
        ("sku", 7),
        ("name", "x" * 201),
        ("name", None),
        ("description", "x" * 10_001),
        ("category", ""),
        ("stock", -1),
        ("stock", 1.5),
        ("stock", "3"),
        ("stock", True),
        ("stock", 10**12),
        ("units_sold", 7),
        ("version", 2),
        ("colour", "red"),
    ],
)
def test_bad_input_is_named_and_nothing_is_stored(admin, rows, field, value):
    answer = admin.post("/products", json={**LAMP, field: value})

    assert (answer.status_code, answer.json["code"]) == (422, "invalid")
    assert list(answer.json["errors"]["json"]) == [field]
    assert rows("SELECT count(*) FROM products") == [(0,)]


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        (b"", "malformed_json", 400),
        (b"{", "malformed_json", 400),
        (b'{"sku": NaN}', "malformed_json", 400),
        (b'{"sku": "a", "sku": "b"}', "malformed_json", 400),
        (b'{"sku": "\xff"}', "malformed_json", 400),
        (b'{"price": ' + b"9" * 10_000 + b"}", "malformed_json", 400),
        (b'{"price": 1e999999999999999999999}', "malformed_json", 400),
        (b'{"price": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "malformed_json", 400),
        (b"[]", "invalid", 422),
        (b'"sku"', "invalid", 422),
        (b"null", "invalid", 422),
        (b'{"sku": "\\ud800"}', "invalid", 422),
        (b'{"\\ud800": 1}', "invalid", 422),
        (b'{"price": 1e-99999}', "invalid", 422),
        (b'{"price": 1e99999}', "invalid", 422),
        (b'{"sku": "' + b"x" * 1_000_001 + b'"}', "too_large", 413),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_body_that_makes_no_sense_is_refused_in_one_shape(admin, body, code, status):
    answer = admin.post("/products", data=body, content_type="application/json")

    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert answer.content_type == "application/problem+json"
    assert {"type", "title", "status", "detail", "code", "request_id"} <= set(answer.json)
    assert answer.json["type"] == f"/problems/{code}"


def test_a_body_that_is_not_json_is_refused(admin):
    answer = admin.post("/products", data="sku=1", content_type="text/plain")

    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")


def test_a_sku_is_taken_once_and_case_differs(admin, a_product):
    a_product(sku="85123A")

    assert a_product(sku="85123a").sku == "85123a"
    answer = admin.post("/products", json={**LAMP, "sku": "85123A"})
    assert (answer.status_code, answer.json["code"]) == (409, "sku_taken")


def test_put_writes_anew_and_clears_what_is_left_out(admin, a_product):
    lamp = a_product(description="Dimmable", stock=4)
    body = {"sku": "NEW", "name": "New", "category": "Other", "price": 1}

    answer = admin.put(f"/products/{lamp.id}", json=body)

    assert answer.status_code == 200
    assert (answer.json["description"], answer.json["stock"]) == ("", 4)
    assert (answer.json["sku"], answer.json["version"]) == ("NEW", 2)


def test_patch_changes_what_is_named_and_counts_the_version(admin, a_product):
    lamp = a_product(description="Dimmable")

    answer = admin.patch(f"/products/{lamp.id}", json={"price": 19.99})

    assert answer.json["version"] == 2
    assert (answer.json["price"], answer.json["description"]) == (Decimal("19.99"), "Dimmable")


def test_an_empty_patch_is_refused(admin, a_product):
    assert admin.patch(f"/products/{a_product().id}", json={}).status_code == 422


def test_stock_is_not_edited_but_entered(admin, a_product):
    lamp = a_product()

    for edit in (admin.patch, admin.put):
        assert edit(f"/products/{lamp.id}", json={"stock": 5}).status_code == 422


def test_a_sku_that_is_taken_cannot_be_edited_in(admin, a_product):
    a_product(sku="A")
    other = a_product(sku="B")

    answer = admin.patch(f"/products/{other.id}", json={"sku": "A"})

    assert (answer.status_code, answer.json["code"]) == (409, "sku_taken")


def test_a_deleted_product_is_gone_and_its_sku_is_free(admin, a_product):
    lamp = a_product(sku="LAMP")

    assert admin.delete(f"/products/{lamp.id}").status_code == 204
    assert admin.delete(f"/products/{lamp.id}").status_code == 404
    assert admin.get(f"/products/{lamp.id}").json["code"] == "not_found"
    a_product(sku="LAMP")


@pytest.mark.parametrize("product_id", [4711, 2**63, 10**30])
def test_a_product_that_cannot_be_is_not_found(admin, product_id):
    assert admin.get(f"/products/{product_id}").json["code"] == "not_found"


def test_only_administrators_change_products(customer, anonymous, orders_service, a_product):
    lamp = a_product()
    writes = [
        ("POST", "/products", LAMP),
        ("PUT", f"/products/{lamp.id}", LAMP),
        ("PATCH", f"/products/{lamp.id}", {"price": 1}),
        ("DELETE", f"/products/{lamp.id}", None),
        ("POST", f"/products/{lamp.id}/stock", {"delta": 1, "reason": "Delivery"}),
        ("GET", f"/products/{lamp.id}/stock", None),
    ]
    for method, path, body in writes:
        assert anonymous.open(method, path, json=body).status_code == 401
        assert customer.open(method, path, json=body).status_code == 403
        assert orders_service.open(method, path, json=body).status_code == 403


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "ABCD"),
        ("category=Lighting", "AB"),
        ("category=lighting", ""),
        ("sku=A", "A"),
        ("sku=a", ""),
        ("q=lamp", "AB"),
        ("q=LAMP+desk", "A"),
        ("q=warm", "B"),
        ("q=100%25", "D"),
        ("q=0%25", "D"),
        ("q=k_l", ""),
        ("q=\\\\", ""),
        ("q=a+lamp", "AB"),
        ("q=x+y+%25", "ABCD"),
        ("q=la+am+mp+lam+amp+lamp+de+desk+a+b", "A"),
        ("min_price=20", "BC"),
        ("max_price=20", "ABD"),
        ("min_price=20&max_price=20.00", "B"),
        ("in_stock=true", "ABD"),
        ("in_stock=false", "C"),
        ("sort=price_asc", "DABC"),
        ("sort=price_desc", "CBAD"),
        ("sort=name", "CADB"),
        ("sort=newest", "DCBA"),
        ("sort=popular", "ABCD"),
        ("limit=3", "ABC"),
        ("limit=3&page=2", "D"),
        ("limit=3&page=3", ""),
        ("page=2147483647", ""),
    ],
)
def test_products_are_filtered_and_sorted(admin, anonymous, query, found):
    for sku, name, description, category, price, stock in (
        ("A", "Desk lamp", "", "Lighting", 10, 1),
        ("B", "Floor lamp", "Warm white", "Lighting", 20, 5),
        ("C", "Chair", "", "Seating", 30, 0),
        ("D", "Discount 100%", "", "Other", 5, 1),
    ):
        admin.post(
            "/products",
            json={
                "sku": sku,
                "name": name,
                "description": description,
                "category": category,
                "price": price,
                "stock": stock,
            },
        )

    listed = anonymous.get(f"/products?{query}").json

    assert "".join(product["sku"] for product in listed) == found


@pytest.mark.parametrize(
    "query",
    [
        "sort=random",
        "min_price=abc",
        "min_price=-1",
        "min_price=1e5",
        "in_stock=yes",
        "limit=0",
        "limit=101",
        "page=0",
        "page=x",
        "colour=red",
        "q=la+am+mp+lam+amp+lamp+de+es+desk",
        "max_price=1.001",
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(anonymous, query):
    answer = anonymous.get(f"/products?{query}")

    assert (answer.status_code, answer.json["code"]) == (422, "invalid")
    assert list(answer.json["errors"]["query"]) == [query.partition("=")[0]]


def test_a_search_without_a_place_is_refused_at_once_and_other_lists_go_on(anonymous, a_product):
    lamp = a_product(name="Lamp")

    with catalogue._searches.taken():
        refused = anonymous.get("/products?q=lamp")
        listed = anonymous.get("/products")

    assert (refused.status_code, refused.json["code"]) == (503, "unavailable")
    assert refused.headers["Retry-After"] == "1"
    assert [product["id"] for product in listed.json] == [lamp.id]
    assert [product["id"] for product in anonymous.get("/products?q=lamp").json] == [lamp.id]


@pytest.mark.parametrize("paging", ["", "&after="])
def test_a_search_gets_little_of_the_databases_time(anonymous, a_product, products_locked, paging):
    a_product(name="Lamp")
    with products_locked():
        began = time.monotonic()
        searched = anonymous.get(f"/products?q=lamp{paging}")
        search_seconds = time.monotonic() - began
        listed = anonymous.get("/products")
        list_seconds = time.monotonic() - began - search_seconds

    assert (searched.status_code, listed.status_code) == (503, 503)
    assert 1.5 * search_seconds < list_seconds  # 0.2 s against the 0.5 s of a wait for a lock
    assert anonymous.get(f"/products?q=lamp{paging}").status_code == 200


@pytest.fixture
def products_locked(app, _services):
    """Returns a context in which no statement can read the products."""

    @contextmanager
    def locked():
        with closing(psycopg2.connect(_services(app.name).settings.database_url)) as other:
            with other.cursor() as cursor:
                cursor.execute("LOCK TABLE products")
            yield

    return locked


def test_popular_products_come_first(admin, orders_service, anonymous, a_product):
    quiet, loud = a_product(), a_product()
    tell(orders_service, "order.confirmed", 1, (loud, 5))

    assert [p["id"] for p in anonymous.get("/products?sort=popular").json] == [loud.id, quiet.id]


def test_categories_are_counted(anonymous, a_product):
    for category in ("Seating", "Lighting", "Lighting"):
        a_product(category=category)

    assert anonymous.get("/categories").json == [
        {"category": "Lighting", "products": 2},
        {"category": "Seating", "products": 1},
    ]
    assert anonymous.get("/categories?page=1").status_code == 422


def tell(orders_service, event_type, order_id, *lines, event_id=None):
    return orders_service.post(
        "/internal/events",
        json={
            "specversion": "1.0",
            "id": event_id or f"{event_type}-{order_id}",
            "source": "/microservice3",
            "type": event_type,
            "subject": f"order/{order_id}",
            "time": "2026-01-31T09:30:00Z",
            "data": {
                "order_id": order_id,
                "total": 1,
                "items": [
                    {"product_id": product.id, "quantity": quantity, "name": "as it was"}
                    for product, quantity in lines
                ],
            },
        },
        content_type="application/cloudevents+json",
    )


@pytest.fixture
def sold(anonymous):
    return lambda product: anonymous.get(f"/products/{product.id}").json["units_sold"]


def test_an_event_that_comes_twice_counts_once(orders_service, a_product, sold):
    lamp = a_product()

    for _ in range(2):
        assert tell(orders_service, "order.confirmed", 7, (lamp, 2), (lamp, 1)).status_code == 204

    assert sold(lamp) == 3


def test_a_cancellation_takes_its_units_back_once(orders_service, a_product, sold):
    lamp = a_product()
    tell(orders_service, "order.confirmed", 7, (lamp, 2))
    tell(orders_service, "order.cancelled", 7, (lamp, 2))
    tell(orders_service, "order.cancelled", 7, (lamp, 2), event_id="another id")

    assert sold(lamp) == 0


def test_a_confirmation_that_a_cancellation_has_overtaken_counts_nothing(
    orders_service, a_product, sold
):
    lamp = a_product()
    tell(orders_service, "order.cancelled", 7, (lamp, 2))
    tell(orders_service, "order.confirmed", 7, (lamp, 2))

    assert sold(lamp) == 0


def test_an_event_of_an_unknown_type_is_refused_for_good(orders_service, a_product):
    answer = tell(orders_service, "order.lost", 7, (a_product(), 1))

    assert (answer.status_code, answer.json["code"]) == (422, "invalid")


def test_an_order_of_a_product_that_is_gone_is_taken_in(orders_service, admin, a_product):
    lamp = a_product()
    admin.delete(f"/products/{lamp.id}")

    assert tell(orders_service, "order.confirmed", 7, (lamp, 1)).status_code == 204


def test_only_the_orders_service_tells(users_service, a_product):
    assert tell(users_service, "order.confirmed", 7, (a_product(), 1)).status_code == 403
