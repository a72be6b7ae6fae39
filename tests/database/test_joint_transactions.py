"""Transactions inside a joint one: each can fail by itself, and all are committed together."""

from contextlib import suppress

import pytest

from chassis.database import Duplicate, joint_transaction, transaction

ADD = "INSERT INTO inbox (event_id) VALUES (%(id)s)"


@pytest.fixture
def stored(service, rows):
    """Returns a function: what was committed."""
    return lambda: [event_id for (event_id,) in rows("SELECT event_id FROM inbox ORDER BY 1")]


def test_nothing_is_committed_before_the_end(stored):
    with joint_transaction():
        with transaction() as tx:
            tx.run(ADD, id="a")
        with transaction() as tx:
            tx.queue(ADD, id="b")
        assert stored() == []

    assert stored() == ["a", "b"]


def test_what_is_raised_in_the_end_undoes_all_parts(stored):
    with pytest.raises(KeyError), joint_transaction():
        with transaction() as tx:
            tx.run(ADD, id="a")
        raise KeyError

    assert stored() == []


def test_a_part_that_raises_is_undone_by_itself_and_the_next_goes_on(stored):
    with joint_transaction():
        with transaction() as tx:
            tx.run(ADD, id="a")
        with pytest.raises(KeyError), transaction() as tx:
            tx.run(ADD, id="b")
            tx.queue(ADD, id="c")
            raise KeyError
        with pytest.raises(Duplicate), transaction() as tx:
            tx.queue(ADD, id="d")
            tx.run(ADD, id="a")
        with transaction() as tx:
            tx.run(ADD, id="e")

    assert stored() == ["a", "e"]


def test_a_part_that_passed_over_a_failure_is_undone_with_what_still_waited(stored):
    with joint_transaction():
        with transaction() as tx:
            tx.run(ADD, id="a")
        with pytest.raises(KeyError), transaction() as tx:
            with suppress(Duplicate):
                tx.run(ADD, id="a")
            tx.queue(ADD, id="b")
            raise KeyError
        with transaction() as tx:
            tx.run(ADD, id="c")

    assert stored() == ["a", "c"]


def test_a_part_says_at_its_own_end_what_its_queued_statements_raise(stored):
    with joint_transaction():
        with transaction() as tx:
            tx.run(ADD, id="a")
        with pytest.raises(Duplicate), transaction() as tx:
            tx.queue(ADD, id="a")

    assert stored() == ["a"]


def test_parts_in_parts_are_undone_from_the_inside(stored):
    with joint_transaction(), transaction() as tx:
        tx.queue(ADD, id="a")
        with pytest.raises(KeyError), transaction() as inner:
            inner.queue(ADD, id="b")
            raise KeyError
        tx.queue(ADD, id="c")

    assert stored() == ["a", "c"]


def test_afterwards_transactions_stand_alone_again(stored):
    with joint_transaction():
        pass
    with transaction() as tx:
        tx.run(ADD, id="a")

    assert stored() == ["a"]
