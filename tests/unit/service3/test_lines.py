"""Lines go out as they stand: that is only right while the row and the schema say the same."""

from dataclasses import fields
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from chassis import wire
from microservice3.logic.saga import _line
from microservice3.models import Line
from microservice3.schemas import LineView

prices = st.integers(0, 10**9).map(lambda cents: Decimal(cents).scaleb(-2))


def test_a_line_has_the_fields_of_its_schema_in_the_same_order():
    assert [field.name for field in fields(Line)] == list(LineView().fields)


@given(price=prices, quantity=st.integers(1, 10**6))
def test_a_line_is_written_as_its_schema_would_write_it(price, quantity):
    reserved = {"product_id": 1, "sku": "A", "name": "A", "quantity": quantity, "price": price}

    line = _line({"product_id": 1, "quantity": quantity}, reserved)

    assert wire.dumps(line) == wire.dumps(LineView().dump(line))
