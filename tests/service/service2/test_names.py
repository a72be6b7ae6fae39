"""Names and keys of products: one form, visible, and sorted as people sort them."""

import unicodedata

import psycopg2
import pytest

from microservice2 import database

SHELF = ["Äpfel", "apple", "Banana", "Zebra"]  # "apf" comes before "app"
LAMP = {"sku": "LAMP", "name": "Lamp", "category": "Lighting", "price": 1, "stock": 0}
UNSEEN = ["   ", " LAMP", "LAMP ", "LAMP\u200b", "\u202eLAMP", "LAMP\t1", "LAMP\n", "\u3164"]


@pytest.fixture
def shelf(a_product):
    for name in ("apple", "Banana", "Zebra", "Äpfel"):
        a_product(name=name, category=name)


def test_names_sort_as_in_a_dictionary(shelf, anonymous):
    assert [product["name"] for product in anonymous.get("/products?sort=name").json] == SHELF


def test_categories_sort_as_names_do(shelf, anonymous):
    assert [entry["category"] for entry in anonymous.get("/categories").json] == SHELF


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_behind_a_cursor_follow_the_same_order(shelf, anonymous, pages, limit):
    walked = list(pages(anonymous, "/products?sort=name", limit=limit))

    assert [product["name"] for product in sum(walked, [])] == SHELF


def test_the_list_by_name_is_read_from_its_index(app, databases):
    behind = database.SORTS["name"].behind % {"after_key": "'Lamp'", "after_id": 7}
    connection = psycopg2.connect(databases(app.name))
    with connection, connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        cursor.execute(
            f"""
            EXPLAIN SELECT id FROM products
             WHERE {behind} ORDER BY {database.SORTS["name"].order} LIMIT 20
            """
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
    connection.close()

    assert "using products_name_by_language" in plan
    assert "Index Cond" in plan


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_search_finds_both_spellings(a_product, anonymous, form):
    for spelling in ("NFC", "NFD"):
        a_product(name=unicodedata.normalize(spelling, "Café au lait"))

    found = anonymous.get("/products", query_string={"q": unicodedata.normalize(form, "café")}).json

    assert [product["name"] for product in found] == ["Café au lait"] * 2


@pytest.mark.parametrize(("field", "parameter"), [("category", "category"), ("sku", "sku")])
def test_a_filter_finds_a_key_in_any_spelling(a_product, anonymous, field, parameter):
    a_product(**{field: "Caf\u00e9"})

    found = anonymous.get("/products", query_string={parameter: "Cafe\u0301"}).json

    assert [product[field] for product in found] == ["Café"]


def test_a_key_is_taken_in_any_spelling(admin, a_product):
    lamp = a_product(sku="Café")

    answer = admin.post("/products", json={**LAMP, "sku": "Cafe\u0301"})
    assert (answer.status_code, answer.json["code"]) == (409, "sku_taken")
    entry = {"delta": 1, "reason": "Delivery", "reference": "Café"}
    assert admin.post(f"/products/{lamp.id}/stock", json=entry).status_code == 200
    answer = admin.post(f"/products/{lamp.id}/stock", json={**entry, "reference": "Cafe\u0301"})
    assert (answer.status_code, answer.json["code"]) == (409, "reference_taken")
    found = admin.get(f"/products/{lamp.id}/stock", query_string={"reference": "Cafe\u0301"})
    assert [entry["reference"] for entry in found.json] == ["Café"]


@pytest.mark.parametrize("field", ["sku", "name", "category"])
@pytest.mark.parametrize("text", UNSEEN)
def test_what_nobody_sees_is_refused_in_names_and_keys(admin, a_product, rows, field, text):
    lamp = a_product()

    for answer in (
        admin.post("/products", json={**LAMP, field: text}),
        admin.patch(f"/products/{lamp.id}", json={field: text}),
    ):
        assert (answer.status_code, answer.json["code"]) == (422, "invalid")
        (reason,) = answer.json["errors"]["json"][field]
        assert reason.startswith("Must not ")
    assert rows("SELECT count(*) FROM products") == [(1,)]


def test_a_description_has_lines_and_tabs_and_nothing_invisible(admin, a_product):
    text = "Warm\u0308 white:\n\tdimmable\n"
    lamp = a_product(description=text)

    assert lamp.description == unicodedata.normalize("NFC", text)
    for refused in ("a\u200bb", "a\rb", "a\x1bb"):
        answer = admin.patch(f"/products/{lamp.id}", json={"description": refused})
        assert (answer.status_code, answer.json["code"]) == (422, "invalid")


@pytest.mark.parametrize("query", ["q=a%E2%80%8Bb", "category=%E2%80%AE", "sku=a%0Ab"])
def test_a_filter_that_no_key_can_match_is_refused(anonymous, query):
    answer = anonymous.get(f"/products?{query}")

    assert (answer.status_code, answer.json["code"]) == (422, "invalid")
