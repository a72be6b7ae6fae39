"""The wire: what comes in and goes out, its limits, and its words in OpenAPI."""

import re

from marshmallow import ValidationError, validates, validates_schema

from chassis.events import CloudEvent, Facts
from chassis.fields import (
    AnyJson,
    AnyText,
    Change,
    Email,
    FreeText,
    Instant,
    ListQuery,
    Money,
    Name,
    Schema,
    Text,
    Truth,
    Whole,
    Word,
)
from chassis.text import LONGEST_DECOMPOSITION, in_nfc
from chassis.tokens import ROLES, USER_TOKEN_SECONDS
from microservice1.models import REDEMPTION_STATES, STATUSES, USERNAME

LONGEST_PASSWORD = 128
MOST_POINTS = 1_000_000


class Username(Name):
    """A segment of a path, and a word on a command line: neither `..` nor `-h`."""

    def __init__(self, description, **arguments):
        super().__init__(description, "ada", max=64, pattern=USERNAME, **arguments)


class FullName(Name):
    """A name as letters greet by it: no link, no markup, one line."""

    _LINK_OR_MARKUP = re.compile(r"://|www\.|[<>]", re.IGNORECASE)

    default_error_messages = {"link": "Must not contain `://`, `www.`, `<` or `>`."}

    def __init__(self, **arguments):
        super().__init__(
            "Their name in e-mails: one line, without `://`, `www.`, `<` or `>`",
            "Ada Lovelace",
            max=200,
            allow_none=True,
            **arguments,
        )

    def _deserialize(self, value, attr, data, **kwargs):
        name = super()._deserialize(value, attr, data, **kwargs)
        if self._LINK_OR_MARKUP.search(name):
            raise self.make_error("link")
        return name


class NewPassword(Text):
    def __init__(self, description, **arguments):
        super().__init__(
            description,
            "correct horse battery",
            min=8,
            max=LONGEST_PASSWORD,
            load_only=True,
            **arguments,
        )


class TypedPassword(AnyText):
    """A password that is compared with a hash: as it was typed, in whichever Unicode form.

    It may have 128 characters in NFC, which are up to 512 as typed.
    """

    def __init__(self, description, *, min, **arguments):
        most = LONGEST_PASSWORD * LONGEST_DECOMPOSITION
        super().__init__(
            description, "correct horse battery", min=min, max=most, load_only=True, **arguments
        )

    def _in_form(self, text):
        text = super()._in_form(text)
        if len(in_nfc(text)) > LONGEST_PASSWORD:
            raise ValidationError(f"Longer than maximum length {LONGEST_PASSWORD}.")
        return text


class Code(Text):
    def __init__(self):
        super().__init__(
            "What the letter says; for one use",
            "0f9d7c1e6b3a48529d2e7f60c4b1a835",
            max=32,
            pattern="[0-9a-f]{32}",
            load_only=True,
            required=True,
        )


_ADA = {"email": "ada@example.com", "full_name": "Ada Lovelace"}


class NewUser(Schema):
    samples = {
        "customer": {"username": "ada", "password": "correct horse battery", **_ADA},
        "administrator": {
            "username": "grace",
            "email": "grace@example.com",
            "password": "correct horse battery",
            "full_name": "Grace Hopper",
            "role": "customer",
            "points": 120,
        },
    }

    username = Username("To log in with; upper and lower case are the same", required=True)
    email = Email("Where e-mails go; nobody else may have it", "ada@example.com", required=True)
    password = NewPassword("Without one the account cannot log in until an administrator sets one")
    full_name = FullName()
    role = Word("What they may do (administrators only)", "customer", ROLES)
    points = Whole("To begin with (administrators only)", 0, min=0, max=MOST_POINTS)


class UserFields(Schema):
    samples = {
        "customer": _ADA,
        "administrator": {**_ADA, "role": "customer"},
    }

    email = Email("Where e-mails go; nobody else may have it", "ada@example.com", required=True)
    full_name = FullName(load_default=None)
    password = NewPassword("A new one; left out, the present one stays")
    current_password = TypedPassword(
        "To be given with a new password, unless by an administrator", min=0
    )
    username = Username("To log in with (administrators only)")
    role = Word("What they may do (administrators only)", "customer", ROLES)


class UserChange(UserFields, Change):
    samples = {
        "customer": {"full_name": "Ada King"},
        "a new password": {
            "password": "a longer horse battery",
            "current_password": "correct horse battery",
        },
        "administrator": {"role": "admin"},
    }

    email = Email("Where e-mails go; nobody else may have it", "ada@example.com")
    full_name = FullName()

    @validates_schema
    def _has_more_than_a_proof(self, data, **_):
        if data.keys() == {"current_password"}:
            raise ValidationError("Name at least one field to change.")


class UserView(Schema):
    id = Whole("The user's number", 7)
    username = Username("As it was given")
    email = Email("As it was given", "ada@example.com")
    email_confirmed = Truth("Whether letters to it are known to reach the holder", True)
    pending_email = Email(
        "What replaces `email` once it is confirmed", "countess@example.com", allow_none=True
    )
    full_name = FullName()
    role = Word("What they may do", "customer", ROLES)
    points = Whole("Earned in all; they decide the status", 120, min=0)
    points_balance = Whole("What can be spent; below zero after a cancelled order", 120, min=None)
    status = Word("Gold over 100 points, Silver over 50", "Gold", STATUSES)
    version = Whole("Counts the changes of the account", 3)
    created_at = Instant("When they registered", "2026-01-31T09:30:00Z")
    updated_at = Instant("When it last changed", "2026-01-31T09:30:00Z")


class UserQuery(ListQuery):
    username = Text("Exactly this username, in any case", "ada", max=64)
    email = Text("Exactly this e-mail address, in any case", "ada@example.com", max=254)
    status = Word("Only with this status", "Gold", STATUSES)
    role = Word("Only with this role", "admin", ROLES)


class PointsChange(Schema):
    samples = {"administrator": {"points": 25, "reason": "A late parcel"}}

    points = Whole(
        "How many to add, or with a minus to take; not 0",
        25,
        min=-MOST_POINTS,
        max=MOST_POINTS,
        required=True,
    )
    reason = FreeText("Why", "A late parcel", max=500, required=True)

    @validates("points")
    def _changes_something(self, value, **_):
        if value == 0:
            raise ValidationError("Must not be 0.")


class Credentials(Schema):
    samples = {"anyone": {"username": "ada", "password": "correct horse battery"}}

    username = Text("In any case", "ada", max=64, required=True)
    password = TypedPassword("Of the account", min=1, required=True)


class RefreshToken(Schema):
    refresh_token = Text(
        "What `POST /tokens` or the last refresh has given",
        "3cWc1Yx0mEJvZ0oZ7Qy1mA.qh3cWc1Yx0mEJvZ0oZ7Qy1m0Yk0c9l3W0N0n6b1r2sE",
        max=200,
        required=True,
    )


class TokensView(RefreshToken):
    access_token = Text(
        "To be sent as `Authorization: Bearer ...`", "eyJhbGciOiJFZERTQSJ9...", max=4096
    )
    token_type = Word("Always `Bearer`", "Bearer", ["Bearer"])
    expires_in = Whole("For how many seconds the access token is valid", USER_TOKEN_SECONDS)


class RevocationsView(Schema):
    epochs = AnyJson(
        "By user: access tokens with a lower `epoch` are void, and those without one", {"7": 2}
    )


class Confirmation(Schema):
    code = Code()


class PasswordResetRequest(Schema):
    email = Email("The address of the account", "ada@example.com", required=True)


class PasswordReset(Schema):
    code = Code()
    password = NewPassword("The new one", required=True)


class RedemptionRequest(Schema):
    user_id = Whole("Whose points", 7, required=True)
    points = Whole("How many to spend", 250, required=True)


class RedemptionView(Schema):
    order_id = Whole("The order's number", 7)
    state = Word("What became of it", "redeemed", REDEMPTION_STATES)


class OrderFacts(Facts):
    order_id = Whole("The order's number", 7, required=True)
    user_id = Whole("Whose order it is", 7, required=True)


class ConfirmedFacts(OrderFacts):
    total = Money("What it costs", 59.80, required=True)


class OrderEvent(CloudEvent):
    FACTS = {"order.confirmed": ConfirmedFacts(), "order.cancelled": OrderFacts()}
