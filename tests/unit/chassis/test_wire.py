from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis import wire

amounts = st.decimals(min_value=0, max_value=Decimal("9999999999.99"), places=2)


@given(amounts)
def test_an_amount_comes_back_as_it_went_out(amount):
    text = wire.dumps({"total": amount})

    assert text.decode() == f'{{"total":{amount:.2f}}}'
    assert wire.loads(text) == {"total": amount}


def test_a_number_with_a_point_is_never_a_binary_float():
    assert repr(wire.loads("[0.1, 1e2]")) == "[Decimal('0.1'), Decimal('1E+2')]"


def test_a_moment_goes_out_in_utc():
    assert wire.dumps(datetime(2026, 1, 31, 9, 30, tzinfo=UTC)) == b'"2026-01-31T09:30:00Z"'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "NaN",
        "[Infinity]",
        "-Infinity",
        '{"a": 1, "a": 1}',
        '{"a": {"b": 1, "b": 2}}',
        "'a'",
        "[1,]",
        "9" * 5000,
        "1e9999999999999999999",
        "[" * 100_000,
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda text: str(text)[:20],
)
def test_what_has_no_single_meaning_is_refused(text):
    with pytest.raises(wire.MalformedJson):
        wire.loads(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_goes_there_and_back(value):
    try:
        text = wire.dumps(value)
    except TypeError:  # a lone surrogate, which UTF-8 cannot hold
        return
    assert wire.loads(text) == value
