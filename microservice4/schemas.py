"""The wire: what comes in and goes out, its limits, and its words in OpenAPI."""

from decimal import Decimal
from types import NoneType

from chassis.events import CloudEvent, Facts
from chassis.fields import (
    AnyText,
    Instant,
    ListQuery,
    Money,
    Rows,
    Schema,
    Text,
    Truth,
    Whole,
    Word,
)
from microservice4.models import EMAILED, STATUSES


class NotificationView(Schema):
    id = Whole("The notification's number", 1)
    user_id = Whole("Who is told", 7)
    order_id = Whole("The order it is about; null if it is about none", 12, allow_none=True)
    event_id = Text("What happened: the id of the event", "0b7a3c0e-3f6d-4e0b-9a54", max=100)
    event_type = Word("What happened: the kind of event", "order.confirmed", EMAILED)
    recipient = Text(
        "The address; null until it is known", "ada@example.com", max=254, allow_none=True
    )
    subject = Text(
        "Of the e-mail; null until it is written",
        "Your order 12 is confirmed",
        max=200,
        allow_none=True,
    )
    body = Text(
        "Of the e-mail, without its code; null until it is written",
        "Dear Ada, ...",
        max=1_000_000,
        allow_none=True,
    )
    status = Word(
        "`queued` is still to be sent; `failed` was refused for good by the mail server; "
        "`suppressed` is not to be sent",
        "sent",
        STATUSES,
    )
    attempts = Whole("How often the mail server was tried", 1, min=0)
    last_error = Text("Why it is not sent", None, max=1000, allow_none=True)
    retry_at = Instant(
        "When the mail server is asked again, after it has put the e-mail off; null if it has not",
        None,
        allow_none=True,
    )
    created_at = Instant("When it was taken in", "2026-01-31T09:30:00Z")
    sent_at = Instant(
        "When the mail server took the e-mail", "2026-01-31T09:30:01Z", allow_none=True
    )


class UserFacts(Facts):
    user_id = Whole("The user's number", 7, required=True)
    version = Whole(
        "Grows with every change of the user", 3, min=0, allow_none=True, load_default=None
    )


class DeletionFacts(UserFacts):
    deleted_at = Instant(
        "When it happened, if the event tells of it again",
        "2026-01-31T09:30:00Z",
        allow_none=True,
        load_default=None,
    )


class ContactFacts(UserFacts):
    username = AnyText("The user's name here", "ada", max=200, required=True)
    email = AnyText("Where the user can be reached", "ada@example.com", max=254, required=True)
    email_confirmed = Truth(
        "Whether the user is known to read e-mails there; events of older releases do not say",
        True,
        load_default=True,
    )
    full_name = AnyText(
        "The user's full name", "Ada Lovelace", min=0, max=1000, allow_none=True, load_default=None
    )


class RegistrationFacts(ContactFacts):
    code = AnyText(
        "What confirms the address, if it is to be confirmed", "0f9d7c1e6b3a4852", max=100
    )
    code_expires_at = Instant("Until when the code is valid", "2026-02-07T09:30:00Z")


class AddressFacts(ContactFacts):
    recipient = AnyText("Where the e-mail goes", "countess@example.com", max=254, required=True)
    recipient_confirmed = Truth("Whether the user is known to read it there", False, required=True)


class CodeFacts(AddressFacts):
    code = AnyText("For one use", "0f9d7c1e6b3a4852", max=100, required=True)
    code_expires_at = Instant("Until when it is valid", "2026-01-31T10:00:00Z", required=True)


class PromotionFacts(ContactFacts):
    status = AnyText("The user's new status", "Gold", max=100, required=True)


_TEXT, _AMOUNT = (str, NoneType), (int, Decimal, NoneType)


class OrderFacts(Facts):
    order_id = Whole("The order's number", 12, required=True)
    user_id = Whole("Whose order it is", 7, required=True)
    version = Whole("Grows with every change of the order", 2, min=0, required=True)
    total = Money("What the order costs", 59.80, allow_none=True, load_default=None)
    currency = AnyText("Of all its amounts, ISO 4217", "EUR", max=10, required=True)
    items = Rows(
        "Its lines; what Products says of them is null for an order that was never confirmed",
        {"product_id": 1, "quantity": 2, "sku": "LAMP-1", "name": "Lamp", "unit_price": 29.90},
        {
            "product_id": int,
            "quantity": int,
            "sku": _TEXT,
            "name": _TEXT,
            "unit_price": _AMOUNT,
            "line_total": _AMOUNT,
        },
        required=True,
    )
    reason = AnyText(
        "Why it is so", "Out of stock", min=0, max=1000, allow_none=True, load_default=None
    )


class ShopEvent(CloudEvent):
    FACTS = {
        "user.registered": RegistrationFacts(),
        "user.updated": ContactFacts(),
        "user.confirmation_requested": CodeFacts(),
        "user.password_reset_requested": CodeFacts(),
        "user.email_change_requested": AddressFacts(),
        "user.promoted": PromotionFacts(),
        "user.deleted": DeletionFacts(),
        **dict.fromkeys(
            ("order.confirmed", "order.shipped", "order.delivered", "order.cancelled"), OrderFacts()
        ),
    }


class NotificationQuery(ListQuery):
    user_id = Whole("Only what was told to this user", 7)
    order_id = Whole("Only what is about this order", 12)
    status = Word("Only what is in this state", "failed", STATUSES)
    event_type = Word(
        "Only what tells of this kind of event", "order.confirmed", list(ShopEvent.FACTS)
    )
