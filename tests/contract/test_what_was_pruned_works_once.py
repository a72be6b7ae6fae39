"""After a prune, nothing old works a second time: events, requests, a restored outbox."""

import importlib
import json
from dataclasses import replace

import pytest

from chassis import testing
from chassis.settings import SERVICES

AGE = """
    DO $$
    DECLARE
        col record;
    BEGIN
        SET LOCAL session_replication_role = replica;  -- the audit log refuses updates
        FOR col IN SELECT table_name, column_name FROM information_schema.columns
                    WHERE table_schema = 'public' AND data_type = 'timestamp with time zone' LOOP
            EXECUTE format('UPDATE %%I SET %%2$I = %%2$I - interval ''400 days''',
                           col.table_name, col.column_name);
        END LOOP;
    END $$
"""
# What the shop's customers notice. Not the suppressed notifications: they tell nobody anything.
STATE = {
    "microservice1": "SELECT id, points, points_balance, status FROM users ORDER BY id",
    "microservice2": "SELECT id, stock, units_sold FROM products ORDER BY id",
    "microservice3": "SELECT id, state, version FROM orders ORDER BY id",
}


@pytest.fixture
def mail(shop, monkeypatch, tmp_path):
    """Returns a function: how many e-mails went out. Notifications are kept for 180 days."""
    service = shop.services["microservice4"]
    settings = replace(
        service.settings,
        smtp_url=f"file://{tmp_path}",
        notifications_kept_days=180,
        suppressed_notifications_kept_days=180,
    )
    monkeypatch.setattr(service, "settings", settings)
    return lambda: len(list(tmp_path.iterdir()))


@pytest.fixture
def state(databases):
    return lambda: {name: testing.query(databases(name), sql) for name, sql in STATE.items()}


@pytest.fixture
def outboxes(databases):
    """Returns a function: what waits in all outboxes, as a backup of this moment has it."""

    def outboxes():
        return [
            (name, lane, subject, message)
            for name in SERVICES
            for lane, subject, message in testing.query(
                databases(name),
                "SELECT lane, subject, message FROM outbox WHERE lane LIKE 'microservice%%'",
            )
        ]

    return outboxes


@pytest.fixture
def resend(shop, databases):
    """Returns a function: let the workers deliver what a backup has brought back."""

    def resend(messages):
        for name, lane, subject, message in messages:
            testing.query(
                databases(name),
                """
                INSERT INTO outbox (lane, subject, message, request_id)
                VALUES (%(lane)s, %(subject)s, %(message)s, 'again')
                """,
                lane=lane,
                subject=subject,
                message=json.dumps(message, default=str),
            )
        shop.work()

    return resend


@pytest.fixture
def long_ago(shop, databases):
    """Returns a function: 400 days pass, and all services are pruned."""

    def long_ago(messages):
        for name in SERVICES:
            testing.query(databases(name), AGE)
            with shop.services[name].active():
                importlib.import_module(f"{name}.logic.retention").clean_up()
        assert testing.query(databases("microservice4"), "SELECT FROM notifications") == []
        for _, _, _, message in messages:
            year, _, rest = message["time"].partition("-")
            message["time"] = f"{int(year) - 2}-{rest}"

    return long_ago


@pytest.mark.parametrize("status", ["delivered", "cancelled"])
def test_events_that_come_again_after_the_prune_change_nothing(
    shop, mail, state, outboxes, resend, long_ago, a_user, a_product, admin_of, status
):
    ada, lamp = a_user(points=60), a_product(stock=100)
    messages = outboxes()
    admin = admin_of("microservice3")
    body = {"items": [{"product_id": lamp, "quantity": 2}], "user_id": ada, "reference": "PO-1"}
    order = admin.post("/orders", json=body, headers={"Idempotency-Key": "k"}).json
    messages += outboxes()
    shop.work()
    for step in {"delivered": ("shipped", "delivered"), "cancelled": ("cancelled",)}[status]:
        assert admin.patch(f"/orders/{order['id']}", json={"status": step}).status_code == 200
        messages += outboxes()
        shop.work()
    before, sent = state(), mail()
    assert sent >= 3
    assert len({message["id"] for *_, message in messages}) >= 3

    long_ago(messages)
    resend(messages)

    assert (state(), mail()) == (before, sent)
    again = admin.post("/orders", json=body, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json["code"]) == (409, "reference_taken")
    assert state()["microservice2"] == before["microservice2"]
