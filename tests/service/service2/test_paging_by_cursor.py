"""Lists behind a cursor: whatever comes or goes, what was there all along is seen exactly once."""

import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SORTS = (
    "in_stock=false",  # true of all of them, and so by id
    "sort=price_asc",
    "sort=price_desc",
    "sort=name",
    "sort=newest",
    "sort=popular",
)
START = datetime(2026, 1, 31, tzinfo=UTC)

# Few values, so that there are ties everywhere; moments a microsecond apart.
PRODUCTS = st.lists(
    st.tuples(
        st.sampled_from(["Lamp", "lamp", "Lämp", "a\x01b"]),
        st.sampled_from(["0.00", "5.00", "5.01", "9999999999.99"]),
        st.integers(0, 2),
        st.integers(0, 3),
    ),
    min_size=4,
    max_size=9,
)


@pytest.fixture
def insert(rows):
    """Returns a function that inserts products, all in one statement, and returns their ids."""

    def insert(products):
        names, prices, units, moments = zip(*products, strict=True)
        inserted = rows(
            """
            INSERT INTO products (sku, name, category, price, units_sold, created_at)
            SELECT gen_random_uuid(), name, 'Lighting', price, units, at
              FROM unnest(%(names)s::text[], %(prices)s::numeric[], %(units)s::int[],
                          %(moments)s::timestamptz[]) AS product (name, price, units, at)
            RETURNING id
            """,
            names=list(names),
            prices=list(prices),
            units=list(units),
            moments=[START + timedelta(microseconds=moment) for moment in moments],
        )
        return [number for (number,) in inserted]

    return insert


@pytest.mark.parametrize("sort", SORTS)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    first=PRODUCTS,
    meanwhile=st.lists(st.tuples(PRODUCTS, st.integers(0, 99)), max_size=6),
)
def test_what_was_there_all_along_is_seen_once(
    insert, rows, pages, anonymous, sort, first, meanwhile
):
    rows("DELETE FROM products")
    all_along = set(insert(first))
    address = f"/products?{sort}"
    seen = []

    changes = iter(meanwhile)
    for page in pages(anonymous, address, limit=2):
        seen += [product["id"] for product in page]
        if change := next(changes, None):
            new, gone = change
            insert(new)
            if all_along:
                victim = sorted(all_along)[gone % len(all_along)]
                rows("DELETE FROM products WHERE id = %(victim)s", victim=victim)
                all_along.remove(victim)

    assert len(seen) == len(set(seen))
    assert all_along <= set(seen)
    still = [product["id"] for product in anonymous.get(f"{address}&limit=100").json]
    assert [number for number in seen if number in still] == [
        number for number in still if number in seen
    ]


@pytest.mark.parametrize("sort", SORTS)
def test_the_pages_are_the_list_whatever_their_size(insert, pages, anonymous, sort):
    insert([(f"Lamp {n % 3}", f"{n % 2}.50", n % 3, n % 4) for n in range(13)])
    address = f"/products?{sort}&q=lamp"
    whole = anonymous.get(f"{address}&limit=100").json

    for limit in (1, 2, 5, 12, 13, 14, 100):
        walked = list(pages(anonymous, address, limit=limit))
        assert sum(walked, []) == whole
        assert len(walked) == -(-13 // limit)  # the last page says that it is the last


def test_the_limit_may_change_from_page_to_page(insert, anonymous, cursor):
    ids = insert([("Lamp", "1.00", 0, 0)] * 9)
    third = cursor(anonymous, "/products")

    answer = anonymous.get(f"/products?after={third}&limit=3")

    assert [product["id"] for product in answer.json] == ids[1:4]


def test_an_empty_list_is_one_empty_page(pages, anonymous):
    assert list(pages(anonymous, "/products?category=none")) == [[]]


@pytest.mark.parametrize(
    "other",
    [
        "/products?sort=price_desc",
        "/products?sort=price_asc&category=Lighting",
        "/products?sort=price_asc&in_stock=false",
        "/products",
    ],
)
def test_a_cursor_is_good_for_its_own_sort_and_filters_only(insert, anonymous, cursor, other):
    insert([("Lamp", "1.00", 0, 0)] * 3)
    taken = cursor(anonymous, "/products?sort=price_asc")
    joined = "&" if "?" in other else "?"

    assert anonymous.get(f"/products?after={taken}&sort=price_asc").status_code == 200
    assert_bad_cursor(anonymous.get(f"{other}{joined}after={taken}"))


def test_a_cursor_of_another_product_is_none(admin, a_product, cursor):
    one, other = a_product(), a_product()
    for product in (one, other):
        admin.post(f"/products/{product.id}/stock", json={"delta": 1, "reason": "Delivery"})
    taken = cursor(admin, f"/products/{one.id}/stock")

    assert len(admin.get(f"/products/{one.id}/stock?after={taken}").json) == 1
    assert_bad_cursor(admin.get(f"/products/{other.id}/stock?after={taken}"))


@pytest.mark.parametrize(
    "word", ["x", "%00", "%FF", "%ED%A0%80", "eyJpZCI6MX0", "A" * 7000, "1", "null", "%20"]
)
def test_what_is_no_cursor_is_refused(anonymous, word):
    assert_bad_cursor(anonymous.get(f"/products?after={word}"))


def test_a_cursor_that_was_touched_is_refused(insert, anonymous, cursor):
    insert([("Lamp", "1.00", 0, 0)] * 2)
    taken = cursor(anonymous, "/products?sort=newest")

    for place in range(len(taken)):
        for other in string.ascii_letters[:3]:
            if other != taken[place]:
                touched = taken[:place] + other + taken[place + 1 :]
                assert_bad_cursor(anonymous.get(f"/products?sort=newest&after={touched}"))


def test_a_page_and_a_cursor_together_are_refused(anonymous):
    for query in ("page=1&after=", "page=2&after=x"):
        answer = anonymous.get(f"/products?{query}")
        assert (answer.status_code, answer.json["code"]) == (422, "invalid")
        assert answer.json["errors"]["query"] == {"after": ["Not together with `page`."]}


def test_the_stock_entries_of_a_product_come_behind_a_cursor(admin, a_product, pages):
    lamp = a_product(stock=1)
    a_product(stock=1)
    for number in range(2, 6):
        admin.post(f"/products/{lamp.id}/stock", json={"delta": number, "reason": "Delivery"})

    walked = list(pages(admin, f"/products/{lamp.id}/stock", limit=2))

    assert [[entry["delta"] for entry in page] for page in walked] == [[1, 2], [3, 4], [5]]


def assert_bad_cursor(answer):
    assert (answer.status_code, answer.json["code"]) == (422, "bad_cursor"), answer.text
