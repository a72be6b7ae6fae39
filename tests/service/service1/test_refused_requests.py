"""What a stranger's refused registration costs: nothing stored, little CPU, a small answer."""

import itertools
import json
import random
import string

import pytest

from chassis import wire
from tests.service.costs import SLACK_SECONDS, seconds_of, seconds_of_parsing

BODY_BYTES = 1_000_000
STORED_BYTES = 1_000  # a request, of tables and WAL together
LARGEST_ANSWER_BYTES = 64_000
TIMES_PARSING = 2

ADA = {"username": "ada", "email": "ada@example.com", "password": "correct horse battery"}
_words = random.Random(13)


def unknown_fields(length):
    """JSON with unknown fields of random names, which no compression makes small."""
    count = (BODY_BYTES - 100) // (length + 5)
    fields = {"".join(_words.choices(string.ascii_letters, k=length)): 0 for _ in range(count)}
    return json.dumps(fields, separators=(",", ":"))


def username(value):
    """A registration under that username, written in JSON."""
    return f'{{"username": {value}, "email": "ada@example.com"}}'


LONG = BODY_BYTES - 200
FAULTY = {
    "long unknown fields": unknown_fields(240),
    "short unknown fields": unknown_fields(6),
    "unknown fields inside": username(unknown_fields(6)),
    "objects just small enough": username(
        json.dumps([{f"{word:04}": 0 for word in range(wire.MOST_KEYS)}] * 800)
    ),
    "one unknown field": '{"%s": 0}' % ("x" * LONG),
    "a long name": username('"%s"' % ("x" * LONG)),
    "a long name of control characters": username('"%s"' % ("\x85" * (LONG // 2))),
    "a long address": '{"username": "ada", "email": "%s@example.com"}' % ("x." * (LONG // 2)),
    "zeros": username("[" + "0," * (LONG // 2) + "0]"),
    "zeros outside": "[" + "0," * (LONG // 2) + "0]",
    "empty objects": username("[" + "{}," * (LONG // 3) + "{}]"),
    "many digits": username("0." + "3" * LONG),
    "an object that is too deep": '{"a":' * (LONG // 5),
    "an object that is deep": '{"a":' * 900 + "0" + "}" * 900,
    "a list that is too deep": "[" * LONG,
    "a name without an end": '{"username": "' + "x" * LONG,
    "white space": " " * LONG + "{}",
}


@pytest.fixture
def register(anonymous):
    """Returns a function: send a body as a registration, under a key of its own. Its answer."""
    numbers = itertools.count()

    def register(body):
        return anonymous.post(
            "/users",
            data=body,
            content_type="application/json",
            headers={"Idempotency-Key": f"key-{next(numbers)}"},
        )

    return register


@pytest.fixture
def bytes_written(rows):
    """Returns a function: how many bytes all tables have, and the log since the server began."""

    def bytes_written():
        ((written,),) = rows(
            """
            SELECT sum(pg_total_relation_size(oid)) + (pg_current_wal_insert_lsn() - '0/0')
              FROM pg_class
             WHERE relkind = 'r'
            """
        )
        return int(written)

    return bytes_written


@pytest.mark.parametrize("shape", FAULTY)
def test_a_refused_registration_leaves_nothing_in_the_database(
    register, bytes_written, rows, shape
):
    def bytes_of_twenty():
        before = bytes_written()
        answers = [register(FAULTY[shape]) for _ in range(20)]
        assert {answer.status_code for answer in answers} <= {400, 422}
        return bytes_written() - before

    # the server itself may write in one of the rounds: it vacuums its catalogues
    assert any(bytes_of_twenty() < 20 * STORED_BYTES for _ in range(3))
    assert rows("SELECT count(*) FROM idempotency_keys") == [(0,)]


def test_a_registration_of_a_taken_name_leaves_nothing_in_the_database(
    register, bytes_written, rows
):
    body = json.dumps(ADA) + " " * (BODY_BYTES - 200)
    assert register(body).status_code == 201
    before, next_id = bytes_written(), "SELECT last_value FROM users_id_seq"
    id_before = rows(next_id)

    for another in ({"username": "bob"}, {"email": "bob@example.com"}):
        assert register(json.dumps(ADA | another)).status_code == 409

    assert bytes_written() - before < 2 * STORED_BYTES
    assert rows(next_id) == id_before  # not even an INSERT was tried


@pytest.mark.parametrize("shape", FAULTY)
def test_the_answer_to_a_refused_registration_is_small(register, shape):
    answer = register(FAULTY[shape])

    assert len(answer.data) < LARGEST_ANSWER_BYTES


@pytest.mark.parametrize("shape", FAULTY)
def test_a_refused_registration_costs_little_more_than_parsing_it(register, shape):
    smallest = seconds_of(lambda: register("{}"))
    refusing = seconds_of(lambda: register(FAULTY[shape]))

    assert refusing - smallest <= SLACK_SECONDS + TIMES_PARSING * seconds_of_parsing(FAULTY[shape])


def test_an_answer_lists_50_errors_and_says_that_there_are_more(anonymous):
    body = {f"{number:03}": 0 for number in range(wire.MOST_KEYS)}

    answer = anonymous.post("/users", json=body)

    assert (answer.status_code, answer.json["code"]) == (422, "invalid")
    assert sum(map(len, answer.json["errors"]["json"].values())) == 50
    assert answer.json["detail"].endswith("There are more errors than the 50 that are listed")


def test_an_object_of_more_than_100_keys_is_refused(anonymous):
    body = {**ADA, "full_name": {str(number): 0 for number in range(101)}}

    answer = anonymous.post("/users", json=body)

    assert (answer.status_code, answer.json["code"]) == (422, "invalid")
    assert answer.json["errors"] == {"json": {"_schema": ["An object may have at most 100 keys."]}}


def test_the_name_of_an_unknown_field_is_cut(anonymous):
    answer = anonymous.post("/users", json={**ADA, "x" * 10_000: 0})

    assert answer.json["errors"] == {"json": {"x" * 100: ["Unknown field."]}}
