"""scripts/dead-letters: what a receiver has refused for good."""

import json

import pytest

from tests.system.front_door import PROJECT, wait_for
from tests.system.running import (
    in_library,
    run,
)


@pytest.fixture
def bury(stack):
    """Returns a function: an event that microservice4 has refused for good. It returns its id."""

    def add(subject):
        answer = in_library(
            f"""
            open_stack
            as_owner microservice1 microservice1 --tuples-only --no-align <<SQL
            INSERT INTO outbox (lane, subject, message, request_id, state, attempts, last_error)
            VALUES ('microservice4', '{subject}', '{{"specversion": "1.0", "id": "{subject}",
                    "source": "/microservice1", "type": "user.deleted", "subject": "{subject}",
                    "time": "2026-01-31T09:30:00Z", "data": {{"user_id": 987654}}}}',
                    'test', 'dead', 3, 'microservice4 answered invalid')
         RETURNING id;
SQL""",
            **stack.env,
        )
        return answer.stdout.split()[0]

    return add


def test_dead_letters_are_shown_replayed_and_discarded(stack, bury):
    def ask(*words, check=True):
        return stack.script("dead-letters", *words, check=check).stdout

    assert ask("list") == "There are no dead letters.\n"
    first, second, third, fourth = (bury(f"user/{number}") for number in range(4))

    table = ask("list").splitlines()
    assert table[0].split() == [
        "SERVICE",
        "ID",
        "FOR",
        "SUBJECT",
        "EVENT",
        "TRIES",
        "SINCE",
        "REASON",
    ]
    assert table[1].split()[:6] == [
        *("microservice1", first, "microservice4", "user/0", "user.deleted", "3")
    ]
    assert table[1].endswith("microservice4 answered invalid")
    assert len(table) == 5
    assert ask("list", "microservice2") == "There are no dead letters.\n"
    assert "microservice1 has 4 dead letters" in stack.script("status").stdout
    assert json.loads(ask("show", "microservice1", first))["message"]["type"] == "user.deleted"

    assert ask("replay", "microservice1", first, second).splitlines() == [
        f"microservice1 {first}: replayed.",
        f"microservice1 {second}: replayed.",
    ]
    assert ask("discard", "microservice1", third) == f"microservice1 {third}: discarded.\n"
    assert ask("discard", "--all") == f"microservice1 {fourth}: discarded.\n"
    assert ask("list") == "There are no dead letters.\n"

    gone = stack.script("dead-letters", "replay", "microservice1", first, check=False)
    assert (gone.returncode, gone.stderr) == (1, f"microservice1 has no dead letter {first}.\n")
    left = "open_stack; as_owner microservice1 microservice1 -At <<<'SELECT count(*) FROM outbox'"
    wait_for(lambda: in_library(left, **stack.env).stdout == "0\n")


def test_a_service_that_is_down_is_named_and_the_others_are_asked(stack, bury):
    letter = bury("user/4")
    stack.script("down", "microservice2")
    try:
        answer = stack.script("dead-letters", "list", check=False)
    finally:
        stack.script("up")

    assert answer.returncode == 1
    assert answer.stderr == "microservice2 answered 503 Service Temporarily Unavailable.\n"
    assert letter in answer.stdout
    stack.script("dead-letters", "discard", "microservice1", letter)


@pytest.mark.parametrize(
    "words",
    [(), ("bury",), ("show",), ("show", "microservice1"), ("replay", "microservice1"), ("replay",)]
    + [("discard", "microservice1", "7 OR 1"), ("discard", "microservice9", "7")],
    ids=str,
)
def test_dead_letters_wants_to_know_exactly_which(words):
    assert run(PROJECT / "scripts/dead-letters", *words).returncode == 2
