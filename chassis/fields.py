"""Fields of what comes in and goes out: strict types, and a description and an example for each.

    class ProductRequest(Schema):
        name = Text("What customers see", "Desk lamp", max=200, required=True)
        price = Money("For one unit", 29.90, required=True)

Every field takes its description and an example first, then marshmallow's own arguments.
"""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial

import marshmallow as ma
from marshmallow import validate

from chassis import mailboxes, resources, service
from chassis.errors import MOST_ERRORS
from chassis.money import CENT, LARGEST_AMOUNT
from chassis.pagination import Paging, position_of
from chassis.text import LONGEST_DECOMPOSITION, as_name, normalised

LARGEST_ID = 2**63 - 1
_PIECE = 20  # entries of a list that are validated together

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:)(\d{2})(?:(\.\d{1,6})\d*)?([Zz]|[+-]\d{2}:\d{2})",
    re.ASCII,
)


class Schema(ma.Schema):
    """What is unknown is refused, and fields come out in the order in which they are declared.

    Fields of base classes come before, those of the last base class first. `Meta` may not choose
    among fields: one that such a second list forgets would be missing in answers.

    `samples` are whole bodies for "Try it out", {name: body}. The caller that the name says may
    send the body as it is. Without samples the document shows the example of every field.
    """

    samples = {}

    class Meta:
        unknown = ma.RAISE

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if chosen := {"fields", "additional", "exclude", "include"} & vars(cls.Meta).keys():
            raise TypeError(f"{cls.__name__}.Meta has a second list of fields: {chosen.pop()}")


class Change(Schema):
    """The body of a PATCH: any of the fields, but at least one."""

    @ma.validates_schema
    def _has_something(self, data, **_):
        if not data:
            raise ma.ValidationError("Name at least one field to change.")


class _Documented:
    def __init__(self, description, example, **arguments):
        metadata = {"description": description, "example": example}
        super().__init__(metadata=metadata, **arguments)


class AnyText(_Documented, ma.fields.String):
    """A string of `min` to `max` characters that PostgreSQL can hold, taken as it is.

    For what another service of ours says, and for what is compared only. `pattern` matches all.
    """

    default_error_messages = {"unstorable": "Must not contain NUL or a lone surrogate."}

    def __init__(self, description, example, *, min=1, max, pattern=None, **arguments):
        self._length = validate.Length(min=min, max=max)
        checks = [self._length]
        if pattern:
            shown = pattern.replace("{", "{{").replace("}", "}}")  # marshmallow formats the text
            checks.append(validate.Regexp(rf"(?:{pattern})\Z", error=f"Must match {shown}."))
        super().__init__(description, example, validate=checks, **arguments)

    def _deserialize(self, value, attr, data, **kwargs):
        text = super()._deserialize(value, attr, data, **kwargs)
        self._refuse_if_longer(text, LONGEST_DECOMPOSITION * self._length.max)
        text = self._in_form(text)
        self._refuse_if_longer(text, self._length.max)
        return text

    def _refuse_if_longer(self, text, most):
        """Refuse before a pattern, or normalisation, reads a text of a megabyte."""
        if len(text) > most:
            self._length(text)

    def _in_form(self, text):
        if _UNSTORABLE.search(text):
            raise self.make_error("unstorable")
        return text


class Text(AnyText):
    """One line of text, in the form that `chassis.text.normalised` returns."""

    _form = staticmethod(normalised)

    def _in_form(self, text):
        try:
            return self._form(text)
        except ValueError as refusal:
            reason = str(refusal)
            raise ma.ValidationError(f"{reason[0].upper()}{reason[1:]}.") from None


class FreeText(Text):
    """Text that may have line feeds and tabs."""

    _form = staticmethod(partial(normalised, lines=True))


class Name(Text):
    """A name or a key: not blank, no white space around it (`chassis.text.as_name`)."""

    _form = staticmethod(as_name)


class Email(Text):
    """An e-mail address that can be written to, kept as it was given (`chassis.mailboxes`)."""

    _form = staticmethod(mailboxes.as_entered)

    def __init__(self, description, example, **arguments):
        super().__init__(description, example, min=3, max=mailboxes.MOST_OCTETS, **arguments)
        self.metadata["format"] = "email"


class Word(_Documented, ma.fields.String):
    """One of a few words."""

    def __init__(self, description, example, words, **arguments):
        super().__init__(description, example, validate=[validate.OneOf(words)], **arguments)


class Whole(_Documented, ma.fields.Integer):
    """A whole number from `min` to `max`: a JSON integer in a body, decimal digits in a query."""

    def __init__(self, description, example, *, min=1, max=LARGEST_ID, **arguments):
        super().__init__(
            description, example, validate=[validate.Range(min=min, max=max)], **arguments
        )

    def _deserialize(self, value, attr, data, **kwargs):
        if type(value) is int:  # the most common of all values, and no bool
            return value
        return super()._deserialize(value, attr, data, **kwargs)

    def _validated(self, value):
        if isinstance(value, str) and isinstance(self.root, Query) and _WHOLE.fullmatch(value):
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid", input=value)
        return value


class Cursor(_Documented, ma.fields.String):
    """A word that is ours alone to read; of any length, for whoever reads it refuses it."""

    def __init__(self, description, **arguments):
        super().__init__(description, "", **arguments)


class Flag(_Documented, ma.fields.Boolean):
    """`true` or `false` in a query."""

    truthy = frozenset({"true"})
    falsy = frozenset({"false"})


class Truth(_Documented, ma.fields.Boolean):
    """`true` or `false` in JSON, and nothing that only looks like them."""

    def _deserialize(self, value, attr, data, **kwargs):
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Money(_Documented, ma.fields.Field):
    """An amount: a JSON number from 0, of at most two decimals; a Decimal inside."""

    default_error_messages = {
        "invalid": "Not a number.",
        "range": f"Must be from 0 to {LARGEST_AMOUNT}.",
        "decimals": "May have two decimals at most.",
    }

    def __init__(self, description, example, **arguments):
        super().__init__(description, example, **arguments)
        self.metadata.update(type="number", minimum=0, maximum=float(LARGEST_AMOUNT))

    def _deserialize(self, value, attr, data, **kwargs):
        if isinstance(value, str) and isinstance(self.root, Query):
            value = self._from_text(value)
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            raise self.make_error("invalid")
        if not 0 <= value <= LARGEST_AMOUNT:
            raise self.make_error("range")
        amount = Decimal(value).quantize(CENT)
        if amount != value:
            raise self.make_error("decimals")
        return abs(amount)

    def _from_text(self, value):
        if not re.fullmatch(r"[0-9]{1,16}(\.[0-9]{1,16})?", value):
            raise self.make_error("invalid")
        return Decimal(value)

    def _serialize(self, value, attr, obj, **kwargs):
        return None if value is None else value.quantize(CENT)


class Currency(_Documented, ma.fields.String):
    """The currency of this installation's prices."""

    _CHECK_ATTRIBUTE = False

    def __init__(self, description, **arguments):
        super().__init__(description, "EUR", **arguments)

    def _serialize(self, value, attr, obj, **kwargs):
        return service.current().settings.currency


class Instant(_Documented, ma.fields.DateTime):
    """A moment: RFC 3339 with its offset in, UTC out.

    A fraction of a second may have any number of digits; what is finer than a microsecond is cut.
    A leap second counts as the second after it.
    """

    default_error_messages = {"form": "Write it like 2026-01-31T09:30:00Z."}

    def _deserialize(self, value, attr, data, **kwargs):
        found = _INSTANT.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise self.make_error("form")
        minute, second, fraction, offset = found.groups("")
        leap = timedelta(seconds=second == "60")
        text = f"{minute}{'59' if leap else second}{fraction}{offset}"
        try:
            moment = datetime.fromisoformat(text.upper()).astimezone(UTC) + leap
        except (ValueError, OverflowError) as error:
            raise self.make_error("form") from error
        if leap and (moment.hour, moment.minute) != (0, 0):  # they come at the end of a day in UTC
            raise self.make_error("form")
        return moment

    def _serialize(self, value, attr, obj, **kwargs):
        return value


class InstantOrDate(Instant):
    """A moment, or a date for its first moment in UTC."""

    default_error_messages = {"form": "Write it like 2026-01-31 or 2026-01-31T09:30:00Z."}

    def _deserialize(self, value, attr, data, **kwargs):
        if isinstance(value, str) and _DATE.fullmatch(value):
            value += "T00:00:00Z"
        return super()._deserialize(value, attr, data, **kwargs)


class Day(_Documented, ma.fields.Date):
    """A calendar day in UTC; goes out as `2026-01-31`."""

    def _serialize(self, value, attr, obj, **kwargs):
        return value if isinstance(value, date) else None


class Nested(_Documented, ma.fields.Nested):
    """An object inside."""

    def __init__(self, description, nested, **arguments):
        self.nested = nested
        ma.fields.Nested.__init__(self, nested, metadata={"description": description}, **arguments)


class Many(_Documented, ma.fields.Nested):
    """A list of `min` to `max` objects, all by one schema."""

    def __init__(self, description, nested, *, min=0, max=None, **arguments):
        ma.fields.Nested.__init__(
            self,
            nested,
            many=True,
            metadata={"description": description},
            validate=[validate.Length(min=min, max=max)],
            **arguments,
        )

    def _deserialize(self, value, attr, data, **kwargs):
        if isinstance(value, list):
            self._validate(value)  # before 100,000 wrong entries cost more than a request's time
        return super()._deserialize(value, attr, data, **kwargs)

    def _load(self, value, partial=None):
        """Load piece by piece, and stop at more errors than an answer lists."""
        loaded, errors = [], {}
        for start in range(0, len(value), _PIECE):
            try:
                loaded += super()._load(value[start : start + _PIECE], partial)
            except ma.ValidationError as refusal:
                for number, messages in refusal.messages.items():
                    errors[start + number] = messages
                if sum(map(len, errors.values())) > MOST_ERRORS:
                    break
        if errors:
            raise ma.ValidationError(errors)
        return loaded


class ManyAsTheyAre(Many):
    """A long list that goes out as it stands: its rows have the schema's fields, no more, no less.

    The writer knows dataclasses, amounts and moments by itself; asking the schema for each field of
    each of a thousand lines would only repeat that.
    """

    def _serialize(self, nested_obj, attr, obj, **kwargs):
        return nested_obj


class Rows(_Documented, ma.fields.Field):
    """A long list of objects between our own services, taken as a whole and checked by its sender.

    keys: {name: the Python types that its value may have, NoneType if it may be missing}. What
    comes in is cut down to these keys; what goes out is written as it stands. Field by field, the
    lines of an order would cost more than all the rest of the request.
    """

    default_error_messages = {
        "rows": "Must be a list of objects.",
        "row": "Not valid: {key} of entry {row}.",
    }

    def __init__(self, description, example, keys, **arguments):
        super().__init__(description, [example], **arguments)
        self.keys = keys
        self.metadata.update(type="array", items={"type": "object"})

    def _deserialize(self, value, attr, data, **kwargs):
        if not isinstance(value, list):
            raise self.make_error("rows")
        return [self._cut(number, row) for number, row in enumerate(value)]

    def _cut(self, number, row):
        if not isinstance(row, dict):
            raise self.make_error("rows")
        cut = {key: row.get(key) for key in self.keys}
        for key, value in cut.items():
            if not isinstance(value, self.keys[key]) or isinstance(value, bool):
                raise self.make_error("row", row=number, key=key)
        return cut


class AnyJson(_Documented, ma.fields.Raw):
    """Any JSON value, as it stands."""


class Query(Schema):
    """The parameters behind the question mark. Each is text; one that is unknown is refused.

    A parameter without a value counts as absent, as a form sends a field that nobody filled in.
    """

    @ma.pre_load
    def _leave_out_empty(self, query, **_):
        means_something = {
            field.data_key or name
            for name, field in self.fields.items()
            if isinstance(field, Cursor)
        }
        known = {field.data_key or name for name, field in self.fields.items()} - means_something
        return {name: text for name, text in query.items() if text != "" or name not in known}


class ListQuery(Query):
    """The parameters of a list. Loaded, those of paging are one: `paging`, a Paging.

    Raises BadCursor.
    """

    page = Whole("The page, counted from 1; left out, the first", 1, max=2**31)
    limit = Whole("How many entries a page has", 20, max=100, load_default=20)
    after = Cursor(
        "Instead of `page`: empty for the first entries, then as in `Link; rel=next`. Nothing is "
        "counted, and what comes or goes meanwhile moves no entry to another page"
    )

    @ma.post_load
    def _gather(self, query, **_):
        page, limit, after = (query.pop(name, None) for name in ("page", "limit", "after"))
        if after is None:
            return {**query, "paging": Paging(limit, page or 1)}
        if page is not None:
            raise ma.ValidationError("Not together with `page`.", "after")
        position = position_of(after, resources.list_in_hand())
        return {**query, "paging": Paging(limit, after=position)}
