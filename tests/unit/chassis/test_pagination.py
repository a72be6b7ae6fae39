from hypothesis import given
from hypothesis import strategies as st

from chassis.pagination import page_of


@given(st.lists(st.integers(), max_size=60), st.integers(1, 100))
def test_the_pages_together_are_the_list_each_entry_once(entries, limit):
    def rows(limit, offset):
        return entries[offset : offset + limit]

    pages = []
    for number in range(1, 100):
        page = page_of(len(entries), rows, page=number, limit=limit)
        assert page.total == len(entries)
        assert len(page.items) <= limit
        if not page.items:
            break
        pages += page.items

    assert pages == entries


@given(st.integers(0, 100), st.integers(1, 100), st.integers(1, 2**31))
def test_past_the_end_nothing_is_asked_for(total, limit, page):
    asked = []

    def rows(limit, offset):
        asked.append(offset)
        return []

    page_of(total, rows, page=page, limit=limit)

    assert asked == ([(page - 1) * limit] if (page - 1) * limit < total else [])
