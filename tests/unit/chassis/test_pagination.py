from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis import testing
from chassis.pagination import (
    BadCursor,
    Paging,
    Position,
    cursor_of,
    page_of,
    position_of,
)

LIST = b'["/products",[["sort","name"]]]'


@pytest.fixture
def service(keys):
    with testing.make_service("microservice2", "postgresql:///none", keys).active() as service:
        yield service


@given(st.lists(st.integers(), max_size=60), st.integers(1, 100))
def test_the_pages_together_are_the_list_each_entry_once(entries, limit):
    def rows(window):
        return entries[window["offset"] : window["offset"] + window["limit"]]

    pages = []
    for number in range(1, 100):
        page = page_of(Paging(limit, number), count=lambda: len(entries), rows=rows)
        assert page.total == len(entries)
        assert len(page.items) <= limit
        if not page.items:
            break
        pages += page.items

    assert pages == entries


@given(st.integers(0, 100), st.integers(1, 100), st.integers(1, 2**31))
def test_past_the_end_nothing_is_asked_for(total, limit, page):
    asked = []

    def rows(window):
        asked.append(window["offset"])
        return []

    page_of(Paging(limit, page), count=lambda: total, rows=rows)

    assert asked == ([(page - 1) * limit] if (page - 1) * limit < total else [])


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 99)), unique_by=lambda e: e[1]), st.data()
)
def test_behind_a_cursor_the_pages_are_the_list_and_nothing_is_counted(entries, data):
    entries = [SimpleNamespace(price=price, id=number) for price, number in sorted(entries)]

    def rows(window):
        after = (window["after_key"], window["after_id"])
        behind = [e for e in entries if after[1] is None or (e.price, e.id) > after]
        return behind[: window["limit"]]

    seen, position = [], Position()
    while position is not None:
        limit = data.draw(st.integers(1, 9))
        page = page_of(Paging(limit, after=position), count=None, rows=rows, key="price")
        assert len(page.items) == limit or page.next is None
        seen += page.items
        position = page.next

    assert seen == entries


def test_a_cursor_is_read_as_it_was_written(service):
    for position in (
        Position(None, 7),
        Position("naïve \x01 \N{SNOWMAN} name", 2**63 - 1),
        Position("2026-01-31T09:30:00.123456Z", 1),
        Position(0, 1),
    ):
        assert position_of(cursor_of(position, LIST), LIST) == position
    assert position_of("", LIST) == Position()


def test_a_cursor_that_was_touched_anywhere_is_refused(service):
    cursor = cursor_of(Position("Desk lamp", 7), LIST)
    touched = [
        cursor[:place] + other + cursor[place + 1 :]
        for place in range(len(cursor))
        for other in "AZaz09-_+/=.!é"
        if other != cursor[place]
    ]
    touched += [cursor[:length] for length in range(1, len(cursor))]
    touched += [f"{cursor}{end}" for end in ("=", "A", " ", "\0", "\n", cursor)]

    for word in touched:
        with pytest.raises(BadCursor):
            position_of(word, LIST)


@pytest.mark.parametrize("word", ["x", "1", "é", "\0", "\ud800", "AAAA", "=" * 9, "A" * 100_000])
def test_what_is_no_cursor_is_refused(service, word):
    with pytest.raises(BadCursor):
        position_of(word, LIST)


def test_a_cursor_is_good_for_one_list_of_one_service(service, keys):
    cursor = cursor_of(Position(None, 7), LIST)

    with pytest.raises(BadCursor):
        position_of(cursor, LIST.replace(b"name", b"newest"))
    other = testing.make_service("microservice3", "postgresql:///none", keys)
    with other.active(), pytest.raises(BadCursor):
        position_of(cursor, LIST)
