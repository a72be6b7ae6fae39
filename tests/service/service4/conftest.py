import socket
from contextlib import closing
from itertools import count

import pytest
from aiosmtpd.controller import Controller

from chassis import testing
from chassis.worker import Worker
from microservice4.app import create_app
from microservice4.logic import deferring
from microservice4.worker import LANES


@pytest.fixture
def mail_port():
    """A port on which nobody listens yet."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def service(databases, own_url, keys, mail_port):
    testing.empty_database(databases("microservice4"))
    made = testing.make_service(
        "microservice4",
        own_url("microservice4"),
        keys,
        smtp_url=f"smtp://127.0.0.1:{mail_port}",
        mail_from="Quartet <shop@quartet.example>",
    )
    yield made
    made.database.close()


@pytest.fixture
def app(service):
    return create_app(service)


class Postbox:
    """What a mail server does with what it gets: keep it, or answer as the test has it say.

    refusal: the answer to every recipient, as "550 No such user", or None.
    """

    def __init__(self):
        self.envelopes = []
        self.refusal = None

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.refusal:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        envelope.session = session
        self.envelopes.append(envelope)
        return "250 Taken"


@pytest.fixture
def start_mail_server(mail_port):
    """Returns a function: start a real SMTP server with that handler, or a Postbox. Returns it."""
    started = []

    def start(handler=None, **settings):
        handler = handler or Postbox()
        settings = {"hostname": "127.0.0.1", "port": mail_port, "enable_SMTPUTF8": True, **settings}
        controller = Controller(handler, **settings)
        controller.start()
        started.append(controller)
        return handler

    yield start
    for controller in started:
        controller.stop()


@pytest.fixture
def postbox(start_mail_server):
    """A real SMTP server, up from the beginning."""
    return start_mail_server()


@pytest.fixture
def work(service, rows):
    """Returns a function: let the worker do what waits, as if each pause were over."""
    worker = Worker(service, LANES)

    def work():
        rows("UPDATE outbox SET due_at = now()")
        if rows("SELECT 1 FROM notifications WHERE retry_at IS NOT NULL LIMIT 1"):
            rows(
                "UPDATE notifications SET retry_at = now() - interval '1 s' WHERE retry_at > now()"
            )
            with service.active():
                deferring.take_up()
        testing.deliver_all(worker)

    return work


@pytest.fixture
def tell(users_service, orders_service):
    """Returns a function: tell the service what happened, as its neighbours do."""
    numbers = count(1)

    def tell(event_type, *, id=None, time=None, headers=None, **data):
        caller = users_service if event_type.startswith("user.") else orders_service
        event = {
            "specversion": "1.0",
            "id": id or f"event-{next(numbers)}",
            "source": "/microservice",
            "type": event_type,
            "subject": "subject/1",
            "time": time or "2026-01-31T09:30:00Z",
            "data": data,
        }
        return caller.post(
            "/internal/events",
            json=event,
            content_type="application/cloudevents+json",
            headers=headers,
        )

    return tell


@pytest.fixture
def user_event(tell):
    """Returns a function: something happened to a user, Ada if nothing else is said."""

    def user_event(event_type, user_id=7, **fields):
        extra = {name: fields.pop(name) for name in ("id", "headers") if name in fields}
        user = {
            "user_id": user_id,
            "username": "ada",
            "email": "ada@example.com",
            "full_name": "Ada Lovelace",
            "status": "Bronze",
            **fields,
        }
        answer = tell(event_type, **extra, **user)
        assert answer.status_code == 204, answer.text

    return user_event


@pytest.fixture
def order_event(tell):
    """Returns a function: something happened to an order, of one lamp if nothing else is said."""

    def order_event(event_type, order_id=12, version=1, **fields):
        extra = {name: fields.pop(name) for name in ("id", "headers") if name in fields}
        order = {
            "order_id": order_id,
            "user_id": 7,
            "version": version,
            "status": event_type.removeprefix("order."),
            "total": 59.80,
            "currency": "EUR",
            "items": [
                {
                    "product_id": 1,
                    "sku": "LAMP-1",
                    "name": "Desk lamp",
                    "quantity": 2,
                    "unit_price": 29.90,
                    "line_total": 59.80,
                }
            ],
            **fields,
        }
        answer = tell(event_type, **extra, **order)
        assert answer.status_code == 204, answer.text

    return order_event


@pytest.fixture
def notifications(admin):
    """Returns a function: the notifications, oldest first, or those that a filter lets through."""

    def notifications(**filters):
        answer = admin.get("/notifications", query_string={"limit": 100, **filters})
        assert answer.status_code == 200, answer.text
        return answer.json[::-1]

    return notifications
