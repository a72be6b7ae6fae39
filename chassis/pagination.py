"""Lists are read a page at a time, in one of two ways.

By number: `page` from 1, `limit` entries each, and how many there are in all. Or behind a cursor,
`after`: what is inserted or deleted meanwhile moves nothing from one page to another, nothing is
counted, and a late page costs what the first one does.
https://use-the-index-luke.com/no-offset

A list statement takes a window, four values by name:

       WHERE ...
         AND (
                 %(after_id)s::bigint IS NULL
                 OR (placed_at, id) < (%(after_key)s::timestamptz, %(after_id)s)
             )
       ORDER BY placed_at DESC, id DESC
       LIMIT %(limit)s
      OFFSET %(offset)s
"""

import base64
import binascii
import hmac
from dataclasses import dataclass

from chassis import context, wire
from chassis.errors import Problem

MOST_COUNTED = 10_000  # to count the millions behind it would take longer than a statement may
_SEAL_BYTES = 16


class BadCursor(Problem):
    status, code, title = 422, "bad_cursor", "This cursor does not belong to this list"
    advice = "Begin again with an empty `after`, and keep the filters while you follow `Link`."


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list: behind the entry with this id, and this value of the key it is sorted by.

    key: None in a list by id. Both None: the beginning.
    """

    key: object = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Paging:
    """What a client asks for: page number `page`, or what comes `after` a Position."""

    limit: int
    page: int = 1
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    By number: `total` is how many entries there are in all; if there are more than MOST_COUNTED,
    it is that, and `total_is_exact` is False. Behind a cursor: `next` is the Position where the
    next page begins, None at the end of the list.
    """

    paging: Paging
    items: list
    total: int = 0
    total_is_exact: bool = True
    next: Position | None = None


def page_of(paging, *, count, rows, key=None):
    """Return the Page that was asked for.

    count: a function of nothing that executes a `count_of`, not called for a page behind a cursor.
    rows: a function of a window {limit, offset, after_key, after_id}, not called for a page past
    the end. key: the attribute of the rows by which they are sorted before their id; None if by
    id alone.
    """
    if paging.after is not None:
        return _page_behind(paging, rows, key)
    counted, offset = count(), (paging.page - 1) * paging.limit
    is_exact = counted <= MOST_COUNTED
    past_the_end = is_exact and offset >= counted
    items = [] if past_the_end else rows(_window(paging.limit, offset, Position()))
    return Page(paging, items, total=min(counted, MOST_COUNTED), total_is_exact=is_exact)


def count_of(rows):
    """Return the statement that counts rows, but no further than one more than MOST_COUNTED.

    rows: what follows FROM, as `orders WHERE shown`.
    """
    return f"SELECT count(*) FROM (SELECT FROM {rows} LIMIT {MOST_COUNTED + 1}) AS counted"


def cursor_of(position, listed):
    """Return the cursor for a Position: one word, of no meaning to anybody else.

    listed: bytes that name the list with its filters and its order; it is good for these alone.
    """
    place = wire.dumps([position.key, position.id])
    return _base64url(_seal(place, listed) + place)


def position_of(cursor, listed):
    """Return the Position that `cursor_of` was given; of "", the beginning. Raises BadCursor."""
    if not cursor:
        return Position()
    try:
        sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        raise BadCursor from None
    seal, place = sealed[:_SEAL_BYTES], sealed[_SEAL_BYTES:]
    # base64 has several spellings for the same bytes: ours alone is good
    if _base64url(sealed) != cursor or not hmac.compare_digest(seal, _seal(place, listed)):
        raise BadCursor
    return Position(*wire.loads(place))


def _page_behind(paging, rows, key):
    found = rows(_window(paging.limit + 1, 0, paging.after))
    items = found[: paging.limit]
    if len(found) == len(items):
        return Page(paging, items)
    last = items[-1]
    return Page(paging, items, next=Position(key and getattr(last, key), last.id))


def _window(limit, offset, after):
    return {"limit": limit, "offset": offset, "after_key": after.key, "after_id": after.id}


def _seal(place, listed):
    secret = context.service.get().secret("cursors")
    return hmac.digest(secret, listed + place, "sha256")[:_SEAL_BYTES]


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
