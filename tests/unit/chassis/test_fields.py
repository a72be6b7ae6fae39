from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from chassis.fields import Instant, InstantOrDate, ListQuery, Money, Schema, Text, Whole


class Order(Schema):
    amount = Money("An amount", 1)
    count = Whole("A number", 1)
    note = Text("A text", "x", max=10)
    at = Instant("When", "2026-01-31T09:30:00Z")


def load(**fields):
    return Order().load(fields)


@given(st.integers(0, 999_999_999_999), st.integers(0, 2))
def test_money_of_up_to_two_decimals_is_taken_as_it_is(cents, places):
    amount = Decimal(cents).scaleb(-places)
    if amount > Decimal("9999999999.99"):
        return

    assert load(amount=amount)["amount"] == amount
    assert load(amount=amount)["amount"].as_tuple().exponent == -2


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_money_is_taken_whole_or_refused_but_never_rounded(amount):
    try:
        loaded = load(amount=amount)["amount"]
    except ValidationError:
        return
    assert loaded == amount


@pytest.mark.parametrize(
    "value", ["1.00", True, None, [1], 1.0, Decimal("29.9000000000000000000000000000000001")]
)
def test_money_is_a_number_of_two_decimals_and_nothing_else(value):
    with pytest.raises(ValidationError):
        load(amount=value)


@pytest.mark.parametrize("value", [True, "1", Decimal("1.0"), 0, 2**63, None, [1]])
def test_a_whole_number_in_a_body_is_an_integer_in_range(value):
    with pytest.raises(ValidationError):
        load(count=value)


@pytest.mark.parametrize("value", [" 1", "1 ", "+1", "1_0", "١", "1.0", "0x1", "-1", "1e3"])
def test_a_whole_number_in_a_query_is_decimal_digits(value):
    with pytest.raises(ValidationError):
        ListQuery().load({"page": value})


@pytest.mark.parametrize("name", ["page", "limit"])
def test_a_parameter_without_a_value_counts_as_absent(name):
    assert ListQuery().load({name: ""}) == ListQuery().load({})


def test_an_unknown_parameter_without_a_value_stays_unknown():
    with pytest.raises(ValidationError, match="Unknown field"):
        ListQuery().load({"colour": ""})


@pytest.mark.parametrize("value", ["", "x" * 11, "a\0", "\ud800", 1, None, ["a"]])
def test_a_text_is_storable_and_within_its_length(value):
    with pytest.raises(ValidationError):
        load(note=value)


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-31",
        "2026-01-31T09:30:00",
        "2026-01-31T09:30Z",
        "20260131T093000Z",
        "2026-02-30T09:30:00Z",
        "2026-01-31T25:30:00Z",
        "0001-01-01T00:00:00+14:00",
        "2026-W05-6T09:30:00Z",
        "2026-01-31T09:30:00.Z",
        "2026-01-31T09:30:001Z",
        "2026-01-31T09:30:60Z",
        "2026-01-31T23:59:61Z",
        "٢026-01-31T09:30:00Z",
        1767225600,
    ],
)
def test_a_moment_is_written_out_with_its_offset(value):
    with pytest.raises(ValidationError):
        load(at=value)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2026-01-31T09:30:00.1234567Z", "2026-01-31T09:30:00.123456+00:00"),
        ("2026-01-31T09:30:00.9999999999999+01:00", "2026-01-31T08:30:00.999999+00:00"),
        ("2026-01-31T09:30:00." + "0" * 1000 + "Z", "2026-01-31T09:30:00+00:00"),
        ("2026-01-31t09:30:00.5z", "2026-01-31T09:30:00.500000+00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00"),
        ("2016-12-31T15:59:60.25-08:00", "2017-01-01T00:00:00.250000+00:00"),
    ],
)
def test_a_moment_takes_all_of_rfc_3339_and_is_cut_to_microseconds(given, kept):
    assert load(at=given)["at"].isoformat() == kept


def test_a_moment_is_kept_in_utc():
    assert load(at="2026-01-31T09:30:00.5+02:00")["at"].isoformat() == (
        "2026-01-31T07:30:00.500000+00:00"
    )


def test_a_date_stands_for_its_first_moment():
    field = InstantOrDate("When", "2026-01-31")

    assert field.deserialize("2026-01-31") == field.deserialize("2026-01-31T00:00:00Z")


def test_what_nobody_declared_is_refused():
    with pytest.raises(ValidationError, match="Unknown field"):
        load(colour="red")
