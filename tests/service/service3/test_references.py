"""A client's own order number is one number in each of its spellings, and visible."""

import pytest

COMPOSED, DECOMPOSED = "Café-1", "Cafe\u0301-1"


@pytest.fixture
def order(customer, place, a_product):
    """Returns a function that orders a lamp."""
    lamp = a_product()
    return lambda **fields: place(customer, (lamp, 1), **fields)


def test_a_reference_is_taken_and_found_in_any_spelling(customer, order):
    first = order(reference=COMPOSED)

    again = order(reference=DECOMPOSED)

    assert (again.status_code, again.json["code"]) == (409, "reference_taken")
    for query in ({"reference": DECOMPOSED}, {"reference": COMPOSED}):
        found = customer.get("/orders", query_string=query).json
        assert [entry["id"] for entry in found] == [first.json["id"]]


@pytest.mark.parametrize("reference", ["  ", " PO-1", "PO-1 ", "PO\u200b1", "PO-1\n", "\u3164"])
def test_a_reference_is_visible(order, reference):
    answer = order(reference=reference)

    assert (answer.status_code, answer.json["code"]) == (422, "invalid")
    assert list(answer.json["errors"]["json"]) == ["reference"]
