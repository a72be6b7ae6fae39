"""Lists are read a page at a time: `page` from 1, `limit` entries each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: its entries, and how many there are in all."""

    items: list
    total: int


def page_of(total, rows, *, page, limit):
    """Return a Page. rows: a function of (limit, offset), not called for a page past the end."""
    offset = (page - 1) * limit
    return Page(rows(limit=limit, offset=offset) if offset < total else [], total)
