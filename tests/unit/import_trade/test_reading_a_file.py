"""Every line of a file is accepted or rejected by its number, or the file is refused as a whole."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_trade.reading import Refused, read_trade

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
GOOD = "536365,85123A,LANTERN,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom\n"


def good(**changes):
    columns = HEADER.strip().split(",")
    values = dict(zip(columns, GOOD.strip().split(","), strict=True)) | changes
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values[column] for column in columns)
    return text.getvalue()


def refusal(read, body):
    with pytest.raises(Refused) as refused:
        read(body)
    return str(refused.value)


def test_a_good_line_is_read_to_the_last_field(read):
    (line,) = read(GOOD).lines

    assert (line.number, line.invoice, line.position, line.sku) == (2, "536365", 1, "85123A")
    assert (line.description, line.quantity, line.customer) == ("LANTERN", 6, "17850")
    assert line.at == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    assert line.price == Decimal("2.55")


def test_the_sample_is_read_with_every_oddity_in_it(sample, now):
    trade = read_trade(sample, now)

    assert len(trade.lines) == 180
    assert [one.number for one in trade.rejections] == [35, 112, 113, 120, 121, 136]


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [b"", b"ending"])
def test_marks_and_line_ends_of_all_systems_are_accepted(read, bom, ending, last):
    data = ending.join([HEADER.strip().encode(), GOOD.strip().encode()])

    trade = read(bom + data + (ending if last else b""))

    assert len(trade.lines) == 1
    assert trade.rejections == ()


def test_columns_may_stand_in_any_order_and_others_beside_them(read):
    header = (
        "Country,Note,CustomerID,UnitPrice,InvoiceDate,Quantity,Description,StockCode,InvoiceNo"
    )
    line = "x,12583.0,France,18.0,2010-12-01 08:45:00,3,POSTAGE,POST,536370"

    (read_line,) = read(f"{header}\n{line}\n".encode()).lines

    assert (read_line.invoice, read_line.sku, read_line.quantity) == ("536370", "POST", 3)


def test_blank_lines_count_but_say_nothing(read):
    trade = read("\n" + GOOD + "\n\n" + GOOD + "\n")

    assert [line.number for line in trade.lines] == [3, 6]
    assert trade.rejections == ()


def test_commas_quotes_and_letters_of_all_languages_survive(read):
    (line,) = read(good(Description='Café "Größe M", 茶碗')).lines

    assert line.description == 'Café "Größe M", 茶碗'


@pytest.mark.parametrize(
    ("written", "customer"),
    [("17850.0", "17850"), ("17850", "17850"), ("17850.00", "17850"), ("", None), ("a.b", "a.b")],
)
def test_a_customer_number_loses_the_decimals_of_a_spreadsheet(read, written, customer):
    assert read(good(CustomerID=written)).lines[0].customer == customer


@pytest.mark.parametrize(
    ("written", "price"), [("18.0", "18.00"), ("18", "18.00"), ("2.100", "2.10"), ("0.01", "0.01")]
)
def test_a_price_has_two_decimals_however_it_was_written(read, written, price):
    assert str(read(good(UnitPrice=written)).lines[0].price) == price


def test_codes_that_differ_in_case_stay_two(read):
    trade = read(good(StockCode="85123A") + good(StockCode="85123a"))

    assert [line.sku for line in trade.lines] == ["85123A", "85123a"]


def test_the_position_in_an_invoice_counts_rejected_lines_too(read):
    trade = read(good(InvoiceNo="C1", Quantity="oops") + good(InvoiceNo="C1", Quantity="-1"))

    assert [(line.number, line.position) for line in trade.lines] == [(3, 2)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"UnitPrice": "0.0"}, "the price is zero"),
        ({"UnitPrice": "-11062.06"}, "the price is negative"),
        ({"Quantity": "0"}, "the quantity is zero"),
        ({"Quantity": "-3"}, "the quantity is negative on an invoice that is no cancellation"),
        ({"InvoiceNo": "C1"}, "the quantity is positive on a cancellation"),
    ],
)
def test_a_line_that_is_no_trade_is_rejected_with_the_reason(rejected, change, reason):
    assert rejected(GOOD + good(**change)) == {3: reason}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"InvoiceNo": " "}, "InvoiceNo is empty"),
        ({"InvoiceNo": "9" * 101}, "InvoiceNo has 101 characters, at most 100 are taken"),
        (
            {"InvoiceNo": "C" + "9" * 98, "Quantity": "-1"},
            "InvoiceNo and line make a reference of more than 100 characters",
        ),
        ({"StockCode": ""}, "StockCode is empty"),
        ({"StockCode": "x" * 65}, "StockCode has 65 characters, at most 64 are taken"),
        ({"Description": "x" * 201}, "Description has 201 characters, at most 200 are taken"),
        ({"Description": "a\0b"}, "Description contains a NUL character"),
        ({"Quantity": "six"}, "Quantity is no whole number: 'six'"),
        ({"Quantity": "6.0"}, "Quantity is no whole number: '6.0'"),
        ({"Quantity": "٦"}, "Quantity is no whole number: '٦'"),
        ({"Quantity": ""}, "Quantity is no whole number: ''"),
        ({"Quantity": "1000001"}, "Quantity is beyond 1,000,000: 1000001"),
        ({"UnitPrice": "2,55"}, "UnitPrice is no decimal number: '2,55'"),
        ({"UnitPrice": "NaN"}, "UnitPrice is no decimal number: 'NaN'"),
        ({"UnitPrice": "1e3"}, "UnitPrice is no decimal number: '1e3'"),
        ({"UnitPrice": "0.001"}, "UnitPrice has more than two decimals: '0.001'"),
        ({"UnitPrice": "1" * 60}, f"UnitPrice is beyond 9,999,999,999.99: '{'1' * 37}...'"),
        (
            {"UnitPrice": "9999999999.99", "Quantity": "2"},
            "the line's amount is beyond 9,999,999,999.99",
        ),
        (
            {"InvoiceDate": "12/1/2010 8:26"},
            "InvoiceDate is not written YYYY-MM-DD HH:MM:SS: '12/1/2010 8:26'",
        ),
        (
            {"InvoiceDate": "2010-02-30 08:26:00"},
            "InvoiceDate is no moment of the calendar: 2010-02-30 08:26:00",
        ),
        (
            {"InvoiceDate": "2026-01-01 00:00:01"},
            "InvoiceDate lies in the future: 2026-01-01 00:00:01",
        ),
        ({"CustomerID": "no such"}, "CustomerID cannot be a user name: 'no such'"),
        ({"CustomerID": "x" * 65}, f"CustomerID cannot be a user name: '{'x' * 37}...'"),
        ({"CustomerID": ".dot"}, "CustomerID cannot be a user name: '.dot'"),
    ],
)
def test_a_malformed_line_is_rejected_by_name_and_its_neighbours_stay(read, change, reason):
    trade = read(GOOD + good(**change) + GOOD)

    assert [(one.number, one.reason) for one in trade.rejections] == [(3, reason)]
    assert [line.number for line in trade.lines] == [2, 4]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("536365,85123A,LANTERN\n", "3 fields where the first line has 8"),
        (GOOD.strip() + ",more\n", "9 fields where the first line has 8"),
        ('536365,"85123A"x,L,6,d,1,1,UK\n', "broken quoting or line end"),
        ("536365,85123A\rL,6,d,1,1,UK\n", "broken quoting or line end"),
    ],
)
def test_a_line_of_another_shape_is_rejected(rejected, line, reason):
    reasons = rejected(GOOD + line + GOOD)

    assert list(reasons) == [3]
    assert reasons[3].startswith(reason)


def test_a_quoted_field_over_several_lines_is_rejected_on_each_and_hides_no_sale(read):
    inner = GOOD  # a line that would be a good sale, were it not inside a quoted field
    split = f'536366,1,"first\n{inner}last",1,2010-12-01 08:26:00,1.00,,UK\n'

    trade = read(GOOD + split + GOOD)

    reason = "a quoted field runs over the end of its line"
    assert [(one.number, one.reason) for one in trade.rejections] == [
        (3, reason),
        (4, reason),
        (5, reason),
    ]
    assert [line.number for line in trade.lines] == [2, 6]


def test_a_quote_that_never_ends_refuses_the_file(read):
    assert "line 3: a quoted field is opened that never ends" in refusal(
        read, GOOD + '1,2,"no end' + GOOD * 9_000
    )


def test_another_encoding_is_refused_with_its_line(read):
    latin = (HEADER + GOOD + good(Description="Café")).encode("iso-8859-1")

    message = refusal(read, latin)

    assert "line 3: byte 0xe9 is not UTF-8" in message
    assert "ISO-8859-1" in message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\n\n", "is empty"),
        (HEADER.encode(), "has no line below its first"),
        (HEADER.replace("Quantity,", "").encode(), "column Quantity is missing"),
        (HEADER.replace("Country", "Quantity").encode(), "column Country is missing"),
        (HEADER.replace("\n", ",Quantity\n").encode(), "column Quantity stands twice"),
        ((HEADER + GOOD).encode("utf-16"), "line 1: byte 0xff is not UTF-8"),
        ((HEADER + GOOD).replace("\n", "\r").encode(), "line 1: broken quoting or line end"),
        ((HEADER + good(Quantity="x") * 2).encode(), "none of its 2 lines can be read; line 2"),
    ],
)
def test_a_file_that_is_no_such_file_is_refused(read, data, words):
    assert words in refusal(read, data)


def test_a_file_of_lines_that_are_no_trade_is_small_but_not_wrong(read):
    trade = read(good(UnitPrice="0.0"))

    assert trade.lines == ()
    assert len(trade.rejections) == 1


def test_a_missing_file_and_a_folder_are_refused(tmp_path, now):
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(Refused):
            read_trade(path, now)


cells = st.text(st.sampled_from('aé,"\n\r\0 :.-019C'), max_size=6) | st.sampled_from(
    ["536365", "C1", "85123A", "6", "-6", "2010-12-01 08:26:00", "2.55", "0", ""]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(cells, min_size=7, max_size=9), min_size=1, max_size=8))
def test_every_physical_line_is_accepted_or_rejected_exactly_once(read, rows):
    body = GOOD + "".join(",".join(row) + "\n" for row in rows)
    try:
        trade = read(body)
    except Refused as refused:
        assert "never ends" in str(refused)
        return

    told = [line.number for line in trade.lines] + [one.number for one in trade.rejections]
    full = [n for n, text in enumerate((HEADER + body).split("\n"), 1) if text.strip("\r")]
    assert len(told) == len(set(told))
    assert set(full) - {1} <= set(told)
    assert all(trade.text(one.number) == one.text for one in trade.rejections)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    quantity=st.integers(1, 1_000_000),
    cents=st.integers(1, 99_999),
    name=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=60),
)
def test_what_a_spreadsheet_writes_is_read_back_exactly(read, quantity, cents, name):
    price = Decimal(cents) / 100

    (line,) = read(good(Quantity=str(quantity), UnitPrice=str(price), Description=name)).lines

    assert (line.quantity, line.price, line.description) == (quantity, price, name.strip())
    assert line.amount == Decimal(quantity * cents) / 100
