"""Lists count their entries up to a limit, so that a table of millions has a first page as well."""

import json

import pytest

from chassis import pagination

ADD = """
    INSERT INTO audit_entries (actor, action, subject, request_id)
    SELECT 'user:1', 'thing.made', 'thing/' || n, 'request' FROM generate_series(1, %(number)s) AS n
"""


@pytest.fixture
def limit(monkeypatch):
    monkeypatch.setattr(pagination, "MOST_COUNTED", 10)
    return 10


def test_a_total_is_exact_up_to_the_limit(limit, rows, admin):
    rows(ADD, number=10)

    answer = admin.get("/audit?limit=4&page=2")

    found = json.loads(answer.headers["X-Pagination"])
    assert (found["total"], found["last_page"], "total_is_exact" in found) == (10, 3, False)
    assert 'rel="last"' in answer.headers["Link"]


def test_beyond_it_nothing_is_said_of_the_end(limit, rows, admin):
    rows(ADD, number=13)

    pages = [admin.get(f"/audit?limit=4&page={page}") for page in (1, 3, 4, 5)]

    assert [len(page.json) for page in pages] == [4, 4, 1, 0]
    told = [json.loads(page.headers["X-Pagination"]) for page in pages]
    assert told[1] == {
        "total": 10,
        "total_is_exact": False,
        "first_page": 1,
        "page": 3,
        "previous_page": 2,
        "next_page": 4,
    }
    assert all("last_page" not in page and page["total"] == 10 for page in told)
    assert ["next_page" in page for page in told] == [True, True, False, False]
    assert not any('rel="last"' in page.headers["Link"] for page in pages)
