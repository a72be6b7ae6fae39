"""`GET /audit` in every service, and that the log can only grow."""

import psycopg2
import pytest

from chassis import audit, context
from chassis.database import transaction


@pytest.fixture
def write(service, rows):
    """Returns a function: record a write at a time of that day."""

    def write(time, actor="user:1", action="thing.made"):
        with service.active(), context.work(request=f"request-{time}"):
            context.actor.set(actor)
            context.is_privileged.set(True)
            with transaction() as tx:
                audit.record(tx, action, "thing/1")
        rows(
            """
            SET LOCAL session_replication_role = replica;
            UPDATE audit_entries SET at = %(at)s::timestamptz WHERE request_id = %(id)s
            """,
            at=f"2026-01-31T{time}:00Z",
            id=f"request-{time}",
        )

    return write


def test_entries_are_shown_newest_first_to_administrators(write, admin):
    for time in ("09:30", "12:00", "10:00"):
        write(time)

    found = admin.get("/audit")

    assert found.json[0] == {
        "at": "2026-01-31T12:00:00Z",
        "actor": "user:1",
        "action": "thing.made",
        "subject": "thing/1",
        "request_id": "request-12:00",
        "count": 1,
    }
    assert [entry["at"][11:16] for entry in found.json] == ["12:00", "10:00", "09:30"]


def test_they_are_found_by_actor_and_time(write, admin):
    write("09:30", actor="user:1")
    write("10:00", actor="service:microservice3")
    write("11:00", actor="user:1")

    def times(**query):
        found = admin.get("/audit", query_string=query).json
        return [entry["at"][11:16] for entry in found]

    assert times(actor="user:1") == ["11:00", "09:30"]
    assert times(actor="service:microservice3") == ["10:00"]
    assert times(actor="user:4711") == []
    ten = "2026-01-31T10:00:00Z"
    assert times(**{"from": ten}) == ["11:00", "10:00"]
    assert times(to=ten) == ["09:30"]
    assert times(**{"from": "2026-01-31", "to": ten, "actor": "user:1"}) == ["09:30"]
    assert times(**{"from": "2026-02-01"}) == []


def test_they_are_paged_like_other_lists(write, admin, service):
    for time in ("09:30", "10:00", "11:00"):
        write(time)

    page = admin.get("/audit?page=2&limit=2&actor=user:1")

    assert [entry["at"][11:16] for entry in page.json] == ["09:30"]
    assert '"total":3' in page.headers["X-Pagination"]
    assert (
        f"<{service.settings.prefix}/audit?page=1&limit=2&actor=user%3A1>" in page.headers["Link"]
    )
    assert admin.get("/audit?page=9").json == []


def test_they_are_for_administrators_alone(anonymous, customer, users_service, orders_service):
    assert anonymous.get("/audit").status_code == 401
    assert customer.get("/audit").status_code == 403
    for neighbour in (users_service, orders_service):
        assert neighbour.get("/audit").status_code in (401, 403)


@pytest.mark.parametrize(
    "query", ["from=yesterday", "to=2026-13-01", "subject=product/1", "page=0"]
)
def test_what_makes_no_sense_is_refused(admin, query):
    assert admin.get(f"/audit?{query}").status_code == 422


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET actor = 'user:2'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
    ],
)
def test_the_database_refuses_to_change_or_to_forget_an_entry(write, rows, admin, statement):
    write("09:30")

    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="append-only"):
        rows(statement)

    assert len(admin.get("/audit").json) == 1


def test_without_an_administrator_or_a_service_nothing_is_recorded(service, admin):
    with service.active(), context.work(request="request-1"):
        context.actor.set("user:7")
        with transaction() as tx:
            audit.record(tx, "thing.made", "thing/1")

    assert admin.get("/audit").json == []
