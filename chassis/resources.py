"""Answers about resources: a new one with its address, a list with what lies before and behind."""

from urllib.parse import urlencode

from flask import request

from chassis import service, wire
from chassis.pagination import cursor_of

_PAGING = frozenset({"page", "limit", "after"})


def created(resource, status=201):
    """Return (resource, status, headers) for a new resource, with its address in `Location`.

    resource: a row or a dict with an `id`; its address is that of the collection it was posted to,
    and the id.
    """
    number = resource["id"] if isinstance(resource, dict) else resource.id
    return resource, status, {"Location": f"{_own_address()}/{number}"}


def paged(found):
    """Return (entries, headers) for one page of a list, whose body is a bare array.

    found: a chassis.pagination.Page. Headers of a page by number: `X-Pagination` as flask-smorest
    has it, and `Link` (RFC 8288) with first, prev, next and last; of a page behind a cursor: `Link`
    with next, unless it is the last.
    """
    if found.paging.after is None:
        return found.items, _numbered(found)
    if found.next is None:
        return found.items, {}
    return found.items, {"Link": _link("next", after=cursor_of(found.next, list_in_hand()))}


def list_in_hand():
    """Return bytes that name the list that is asked for, with its filters and its order."""
    given = request.args.items()
    filters = {name: text for name, text in given if text and name not in _PAGING}
    return wire.dumps([request.path, sorted(filters.items())])


def _numbered(found):
    metadata = _exact_metadata(found) if found.total_is_exact else _inexact_metadata(found)
    headers = {"X-Pagination": wire.dumps(metadata).decode()}
    if links := _links(metadata):
        headers["Link"] = links
    return headers


def _exact_metadata(found):
    page, last = found.paging.page, -(-found.total // found.paging.limit)
    metadata = {"total": found.total, "total_pages": last}
    if found.total:
        metadata |= {"first_page": 1, "last_page": last, "page": page}
        if 1 < page <= last + 1:
            metadata["previous_page"] = page - 1
        if page < last:
            metadata["next_page"] = page + 1
    return metadata


def _inexact_metadata(found):
    """Leave out the last page of a list whose total is not exact."""
    page = found.paging.page
    metadata = {"total": found.total, "total_is_exact": False, "first_page": 1, "page": page}
    if page > 1:
        metadata["previous_page"] = page - 1
    if len(found.items) == found.paging.limit:
        metadata["next_page"] = page + 1
    return metadata


def _links(metadata):
    relations = {"first": "first_page", "prev": "previous_page", "next": "next_page"}
    relations["last"] = "last_page"
    return ", ".join(
        _link(name, page=metadata[key]) for name, key in relations.items() if key in metadata
    )


def _link(name, **place):
    return f'<{_own_address()}?{urlencode({**request.args, **place})}>; rel="{name}"'


def _own_address():
    return service.current().settings.prefix + request.path
