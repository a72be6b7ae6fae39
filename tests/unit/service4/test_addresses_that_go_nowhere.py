import pytest
from hypothesis import given
from hypothesis import strategies as st

from microservice4.logic.addressing import goes_nowhere


@pytest.mark.parametrize(
    "email", ["a@invalid", "a@INVALID", "a@shop.invalid", "a@a.b.Invalid", "a@shop.invalid."]
)
def test_an_address_in_the_invalid_domain_goes_nowhere(email):
    assert goes_nowhere(email)


@pytest.mark.parametrize(
    "email",
    ["a@example.com", "a@invalid.example", "a@notinvalid", "invalid@example.com", "x.invalid@b.c"],
)
def test_any_other_address_may_go_somewhere(email):
    assert not goes_nowhere(email)


@given(st.from_regex(r"[a-z.]{1,20}@([a-z]{1,10}\.){0,3}", fullmatch=True))
def test_only_the_last_part_of_the_domain_counts(beginning):
    assert goes_nowhere(f"{beginning}invalid")
    assert not goes_nowhere(f"{beginning}invalid.com")
