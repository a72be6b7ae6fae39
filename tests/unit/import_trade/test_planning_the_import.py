"""Lines become users, products, orders and returns, and no unit or penny is lost on the way."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_trade.planning import PlannedProduct, make_plan
from import_trade.reading import read_trade
from import_trade.records import Refused


def line(invoice="1", code="A", name="a", quantity=1, time="08:26", price="1.00", customer="7"):
    return f"{invoice},{code},{name},{quantity},2010-12-01 {time}:00,{price},{customer},UK\n"


def test_customers_become_users_that_no_mail_can_reach(plan):
    users = plan(line(customer="17850.0") + line("2", customer="")).users

    assert [(user.username, user.email) for user in users] == [
        ("17850", "17850@customers.invalid"),
        ("walk-in", "walk-in@customers.invalid"),
    ]


def test_there_is_no_walk_in_user_when_every_line_has_its_customer(plan):
    assert [user.username for user in plan(line()).users] == ["7"]


def test_a_customer_who_only_brings_back_becomes_a_user_too(plan):
    users = plan(line() + line("C2", quantity=-1, customer="8")).users

    assert [user.username for user in users] == ["7", "8"]


def test_a_product_takes_its_first_name_that_is_not_empty_and_its_first_price(plan):
    body = line(name="", price="2.00") + line(name="Lamp", price="3.00") + line(name="Lamp, old")

    (product,) = plan(body.replace("Lamp, old", '"Lamp, old"')).products

    assert (product.sku, product.name, product.price) == ("A", "Lamp", Decimal("2.00"))


def test_a_product_that_nobody_describes_is_called_by_its_code(plan):
    assert plan(line(name="")).products[0].name == "A"


def test_a_rejected_line_gives_a_product_neither_name_nor_price(plan):
    made = plan(line(name="amazon", price="0.0") + line(name="Lamp", price="3.00"))

    assert [(one.name, one.price) for one in made.products] == [("Lamp", Decimal("3.00"))]


def test_a_code_on_lines_without_trade_alone_is_a_product_called_by_its_code(plan):
    made = plan(line() + line(code="B", name="damaged", price="0.0"))

    assert made.products[1] == PlannedProduct("B", "B", Decimal("0.00"), 0)


def test_a_code_on_a_malformed_line_becomes_no_product(plan):
    made = plan(line() + line(code="B", price="abc"))

    assert [one.sku for one in made.products] == ["A"]


def test_codes_that_differ_in_case_are_two_products(plan):
    assert [one.sku for one in plan(line(code="85123A") + line(code="85123a")).products] == [
        "85123A",
        "85123a",
    ]


def test_the_opening_stock_is_what_the_file_sells(plan):
    body = line(quantity=5) + line("2", quantity=3) + line("C3", quantity=-4)

    made = plan(body, "march.csv")

    assert made.opening_reference == "opening:march.csv"
    assert made.products[0].opening == 8


def test_a_product_that_only_comes_back_has_no_opening_stock(plan):
    assert plan(line("C1", quantity=-4)).products[0].opening == 0


def test_an_invoice_is_one_order_with_its_lines_in_order_and_repeats_kept(plan):
    body = line(code="B", quantity=2) + line("2") + line(code="A") + line(code="B", quantity=2)

    first, second = plan(body).orders

    assert (first.invoice, second.invoice) == ("1", "2")
    assert [(one.sku, one.quantity) for one in first.lines] == [("B", 2), ("A", 1), ("B", 2)]
    assert (first.units, first.total) == (5, Decimal("5.00"))


def test_an_invoice_over_two_minutes_has_the_date_of_its_first_line(plan):
    (order,) = plan(line(time="23:59") + line(time="23:58")).orders

    assert order.placed_at == datetime(2010, 12, 1, 23, 59, tzinfo=UTC)
    assert len(order.lines) == 2


def test_customers_whose_names_differ_in_case_are_one_user_as_for_the_services(plan):
    made = plan(line(customer="ab12") + line("2", customer="AB12") + line(customer="Ab12"))

    assert [user.username for user in made.users] == ["ab12"]
    assert [order.username for order in made.orders] == ["ab12", "ab12"]
    assert made.rejections == ()


def test_a_customer_called_walk_in_is_the_user_of_lines_without_a_customer(plan):
    made = plan(line(customer="Walk-In") + line("2", customer=""))

    assert [user.username for user in made.users] == ["Walk-In"]
    assert [order.username for order in made.orders] == ["Walk-In", "Walk-In"]


def test_codes_equal_to_the_eye_are_one_product(plan):
    made = plan(line(code="CAF\u00c9") + line(code="CAFE\u0301") + line(code="E\u0301", price="0"))

    assert [(one.sku, one.opening) for one in made.products] == [("CAF\u00c9", 2), ("\u00c9", 0)]


def test_the_name_of_the_file_is_the_reference_that_the_api_makes_of_it(plan):
    assert plan(line(), "m\u0061\u0308rz.csv").opening_reference == "opening:m\u00e4rz.csv"


@pytest.mark.parametrize("other", ["8", ""])
def test_a_line_of_another_customer_is_rejected_and_the_invoice_stays(plan, other):
    made = plan(line() + line(customer=other) + line())

    assert [(one.number, one.reason) for one in made.rejections] == [
        (3, "another customer than the invoice's line 2")
    ]
    assert len(made.orders[0].lines) == 2
    assert [user.username for user in made.users] == ["7"]


def test_an_invoice_of_rejected_lines_makes_no_order(plan):
    made = plan(line() + line("2", price="0.0") + line("2", quantity=-1))

    assert [order.invoice for order in made.orders] == ["1"]
    assert [one.number for one in made.rejections] == [3, 4]
    assert made.invoices_without_order == 1


def test_an_invoice_of_a_thousand_lines_is_an_order_and_one_more_line_is_too_many(plan):
    made = plan(line("1") * 1_000 + line("2") * 1_001)

    assert [order.invoice for order in made.orders] == ["1"]
    assert len(made.rejections) == 1_001
    assert made.rejections[0].reason == (
        "the invoice has 1,001 lines to sell, an order takes at most 1,000"
    )
    assert made.products[0].opening == 1_000


def test_an_invoice_whose_total_no_order_can_bear_is_rejected(plan):
    made = plan(line("1", price="9999999999.99") + line("1", price="0.01") + line("2"))

    assert [order.invoice for order in made.orders] == ["2"]
    assert [one.number for one in made.rejections] == [2, 3]


def test_returns_are_named_by_invoice_and_line(plan):
    made = plan(line("C9", quantity=-2) + line("C9", quantity=1) + line("C9", "B", quantity=-480))

    assert [(one.reference, one.sku, one.units) for one in made.returns] == [
        ("C9:1", "A", 2),
        ("C9:3", "B", 480),
    ]


def test_a_file_name_too_long_for_a_reference_is_refused(plan):
    plan(line(), "x" * 88 + ".csv")
    for name in ("x" * 89 + ".csv", "a\u200b.csv"):
        with pytest.raises(Refused, match="shorter, plain name"):
            plan(line(), name)


def test_the_sample_plans_as_its_readme_says(sample, now):
    made = make_plan(read_trade(sample, now))

    assert len(made.orders) == 14
    assert sum(len(order.lines) for order in made.orders) == 174
    assert max(len(order.lines) for order in made.orders) >= 60
    assert len(made.returns) == 6
    assert (len(made.users), len(made.products)) == (8, 93)


trade_lines = st.lists(
    st.builds(
        line,
        invoice=st.sampled_from(["1", "2", "C3", "C4"]),
        code=st.sampled_from(["A", "a", "B"]),
        quantity=st.integers(-50, 50),
        price=st.sampled_from(["0.0", "0.01", "2.55", "19.9"]),
        customer=st.sampled_from(["", "7", "8.0"]),
    ),
    min_size=1,
    max_size=30,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trade_lines)
def test_every_line_ends_as_a_sale_a_return_or_a_rejection_and_stock_covers_the_sales(plan, lines):
    made = plan("".join(lines))

    sales = [one for order in made.orders for one in order.lines]
    assert len(sales) + len(made.returns) + len(made.rejections) == len(lines)
    for product in made.products:
        sold = sum(one.quantity for one in sales if one.sku == product.sku)
        assert product.opening == sold
    traded = {one.sku for one in sales} | {one.sku for one in made.returns}
    untraded = {one.sku for one in made.rejections if not one.malformed}
    assert traded <= {product.sku for product in made.products} <= traded | untraded
    assert len({order.invoice for order in made.orders}) == len(made.orders)
    assert len({one.reference for one in made.returns}) == len(made.returns)
