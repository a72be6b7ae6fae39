"""Answers about resources: a new one with its address, a list with what lies before and behind."""

from urllib.parse import urlencode

from flask import request

from chassis import service, wire


def created(resource, status=201):
    """Return (resource, status, headers) for a new resource, with its address in `Location`.

    resource: a row or a dict with an `id`; its address is that of the collection it was posted to,
    and the id.
    """
    number = resource["id"] if isinstance(resource, dict) else resource.id
    return resource, status, {"Location": f"{_own_address()}/{number}"}


def paged(found, query):
    """Return (entries, headers) for one page of a list, whose body is a bare array.

    found: a chassis.pagination.Page. query: what a ListQuery loaded. Headers: `X-Pagination` as
    flask-smorest has it, and `Link` (RFC 8288) with first, prev, next and last.
    """
    page, last = query["page"], -(-found.total // query["limit"])
    metadata = {"total": found.total, "total_pages": last}
    if found.total:
        metadata |= {"first_page": 1, "last_page": last, "page": page}
        if 1 < page <= last + 1:
            metadata["previous_page"] = page - 1
        if page < last:
            metadata["next_page"] = page + 1
    headers = {"X-Pagination": wire.dumps(metadata).decode()}
    if links := _links(metadata):
        headers["Link"] = links
    return found.items, headers


def _links(metadata):
    relations = {"first": "first_page", "prev": "previous_page", "next": "next_page"}
    relations["last"] = "last_page"
    return ", ".join(
        f'<{_own_address()}?{urlencode({**request.args, "page": metadata[key]})}>; rel="{name}"'
        for name, key in relations.items()
        if key in metadata
    )


def _own_address():
    return service.current().settings.prefix + request.path
