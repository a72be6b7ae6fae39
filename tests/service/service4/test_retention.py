"""How long notifications are kept, and what stays of users who are deleted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from microservice4.logic import retention
from microservice4.logic.addressing import TOO_OLD

AGED = """
    INSERT INTO notifications (
               user_id, event_id, event_type, facts, request_id, status, created_at
           )
    SELECT 7, status || age, 'order.confirmed', '{}', 'request', status,
           now() - age * interval '1 day'
      FROM unnest(ARRAY['sent', 'failed', 'queued', 'suppressed']) AS status,
           unnest(ARRAY[179, 181]) AS age
"""


@pytest.fixture
def clean_up(service):
    """Returns a function: do what the worker does each hour."""

    def clean_up():
        with service.active():
            retention.clean_up()

    return clean_up


@pytest.fixture
def kept_for(service, monkeypatch):
    """Returns a function that says how long notifications are kept."""
    return lambda **kept: monkeypatch.setattr(
        service, "settings", replace(service.settings, **kept)
    )


def ago(days):
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


def event_ids(rows):
    return {event_id for (event_id,) in rows("SELECT event_id FROM notifications")}


def test_what_was_sent_or_has_failed_is_pruned_and_nothing_else(rows, clean_up, kept_for):
    rows(AGED)
    everything = event_ids(rows)
    clean_up()
    assert event_ids(rows) == everything

    kept_for(notifications_kept_days=180)
    clean_up()
    assert everything - event_ids(rows) == {"sent181", "failed181"}

    kept_for(notifications_kept_days=180, suppressed_notifications_kept_days=180)
    clean_up()
    assert everything - event_ids(rows) == {"sent181", "failed181", "suppressed181"}


@pytest.mark.parametrize("event_type", ["order.confirmed", "user.registered"])
def test_an_event_that_comes_again_after_the_prune_sends_no_second_email(
    event_type, user_event, order_event, postbox, work, rows, clean_up, kept_for
):
    event = user_event if event_type.startswith("user.") else order_event
    kept_for(notifications_kept_days=180)
    user_event("user.updated", time=ago(181))
    event(event_type, id="the-same", time=ago(179))
    work()
    assert len(postbox.envelopes) == 1
    rows("UPDATE inbox SET received_at = received_at - interval '181 days'")
    rows("UPDATE notifications SET created_at = created_at - interval '181 days'")
    clean_up()
    assert rows("SELECT count(*) FROM inbox") == [(0,)]
    assert event_ids(rows) == set()

    event(event_type, id="the-same", time=ago(181))
    work()

    assert len(postbox.envelopes) == 1
    assert rows("SELECT status, last_error FROM notifications") == [("suppressed", TOO_OLD)]


def test_a_month_after_a_user_was_deleted_nothing_personal_is_left(
    user_event, order_event, notifications, rows, clean_up
):
    user_event("user.updated")
    for number in range(3):
        order_event("order.confirmed", order_id=number + 1)
    user_event("user.updated", user_id=8, email="bob@example.com")
    order_event("order.confirmed", order_id=9, user_id=8)
    before = {entry["event_id"] for entry in notifications()}
    user_event("user.deleted", time=ago(28))
    clean_up()
    assert "ada@example.com" in str(rows("SELECT * FROM notifications"))

    rows("UPDATE contacts SET deleted_at = deleted_at - interval '2 days'")
    order_event("order.cancelled", order_id=1, version=9, reason="Ada Lovelace has died")
    clean_up()

    left = str(rows("SELECT * FROM notifications WHERE user_id = 7"))
    for word in ("ada", "Ada", "Lovelace", "Lamp", "LAMP"):
        assert word not in left
    assert rows("SELECT count(*) FROM notifications WHERE facts::text = '{}'") == [(4,)]
    assert before < {entry["event_id"] for entry in notifications()}
    (bob,) = [entry for entry in notifications() if entry["user_id"] == 8]
    assert bob["recipient"] == "bob@example.com"
    assert bob["body"]


def test_users_who_were_deleted_before_their_day_was_known_are_forgotten_too(
    user_event, rows, clean_up
):
    user_event("user.registered")
    user_event("user.deleted")
    rows("UPDATE contacts SET deleted_at = NULL, updated_at = now() - interval '30 days'")
    clean_up()
    assert "example.com" not in str(rows("SELECT * FROM notifications"))


def test_an_erased_notification_can_be_read_and_is_not_sent_again(
    admin, user_event, rows, clean_up
):
    user_event("user.registered")
    rows("UPDATE notifications SET status = 'failed'")
    user_event("user.deleted", time=ago(30))
    clean_up()

    (entry,) = admin.get("/notifications").json
    assert (entry["recipient"], entry["subject"], entry["body"]) == (None, None, None)
    retried = admin.post(f"/notifications/{entry['id']}/retry")
    assert (retried.status_code, retried.json["status"]) == (202, "suppressed")
