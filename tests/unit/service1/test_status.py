import pytest
from hypothesis import given
from hypothesis import strategies as st

from microservice1.logic.status import is_rise, status_for


@pytest.mark.parametrize(
    ("points", "status"),
    [(0, "Bronze"), (50, "Bronze"), (51, "Silver"), (100, "Silver"), (101, "Gold")],
)
def test_over_fifty_is_silver_and_over_a_hundred_gold(points, status):
    assert status_for(points) == status


@given(st.integers(0, 300), st.integers(0, 300))
def test_more_points_never_mean_a_lower_status(some, more):
    assert not is_rise(status_for(some + more), status_for(some))


@given(st.integers(0, 300))
def test_to_stay_is_no_rise(points):
    assert not is_rise(status_for(points), status_for(points))
