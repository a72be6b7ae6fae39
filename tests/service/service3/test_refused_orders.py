"""What a refused order of many lines costs. Whoever has registered may send one."""

import json

import pytest

from tests.service.costs import SLACK_SECONDS, seconds_of, seconds_of_parsing

LINE = {"product_id": 1, "quantity": 1}
TIMES_PARSING = (
    3  # lines of unknown fields cost 2.1 times on a busy machine; without limits, 28 times
)


@pytest.fixture
def order(customer):
    """Returns a function: send a body as an order."""
    return lambda body: customer.post("/orders", data=body, content_type="application/json")


@pytest.mark.parametrize(
    "line",
    [
        {**LINE, **{f"{number:03}": 0 for number in range(98)}},
        {f"{number:03}": 0 for number in range(98)},
        {"product_id": "x" * 900, "quantity": "y"},
        {"product_id": list(range(250)), "quantity": {}},
    ],
    ids=["unknown fields", "unknown fields alone", "long texts", "lists"],
)
def test_an_order_of_faulty_lines_costs_little_more_than_parsing_it(order, line):
    body = json.dumps({"items": [line] * 1_000}, separators=(",", ":"))
    assert len(body) > 700_000

    answer = order(body)
    smallest = seconds_of(lambda: order("{}"))
    refusing = seconds_of(lambda: order(body))

    assert (answer.status_code, answer.json["code"]) == (422, "invalid")
    assert len(answer.data) < 64_000
    assert refusing - smallest <= SLACK_SECONDS + TIMES_PARSING * seconds_of_parsing(body)


def test_faulty_lines_are_told_by_their_number_wherever_they_stand(order):
    lines = [dict(LINE) for _ in range(1_000)]
    for number in (3, 700, 999):
        lines[number]["quantity"] = 0

    answer = order(json.dumps({"items": lines}))

    assert list(answer.json["errors"]["json"]["items"]) == ["3", "700", "999"]


def test_of_many_faulty_lines_the_first_50_are_told(order):
    answer = order(json.dumps({"items": [{**LINE, "quantity": 0}] * 1_000}))

    assert list(answer.json["errors"]["json"]["items"]) == [str(number) for number in range(50)]
    assert answer.json["detail"].endswith("There are more errors than the 50 that are listed")
