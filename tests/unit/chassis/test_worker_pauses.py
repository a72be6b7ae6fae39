from hypothesis import given
from hypothesis import strategies as st

from chassis.worker import FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, retry_after


@given(st.integers(0, 10**9))
def test_a_pause_is_never_longer_than_the_cap(attempts):
    assert 0 <= retry_after(attempts) <= LONGEST_RETRY_SECONDS


def test_pauses_grow_and_differ():
    first = [retry_after(1) for _ in range(200)]
    later = [retry_after(20) for _ in range(200)]

    assert max(first) <= FIRST_RETRY_SECONDS * 2
    assert max(later) > LONGEST_RETRY_SECONDS / 2
    assert len(set(later)) > 100
