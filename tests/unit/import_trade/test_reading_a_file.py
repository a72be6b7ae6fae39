"""Every line of a file is accepted or rejected by its number, or the file is refused as a whole."""

import csv
import io
import unicodedata
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_trade.form import Form
from import_trade.reading import read_trade
from import_trade.records import Refused

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
GOOD = "536365,85123A,LANTERN,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom\n"


def good(**changes):
    columns = HEADER.strip().split(",")
    values = dict(zip(columns, GOOD.strip().split(","), strict=True)) | changes
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values[column] for column in columns)
    return text.getvalue()


def refusal(read, body, **form):
    with pytest.raises(Refused) as refused:
        read(body, form=Form(**form))
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
        ({"Description": "a\0b"}, "Description must not contain U+0000 (a control character)"),
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
    assert "--encoding windows-1252" in message


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
    texts = (HEADER + body).split("\n")
    assert all(texts[one.number - 1].rstrip("\r") == one.text for one in trade.rejections)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    quantity=st.integers(1, 1_000_000),
    cents=st.integers(1, 99_999),
    name=st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=60),
)
def test_what_a_spreadsheet_writes_is_read_back_exactly(read, quantity, cents, name):
    price = Decimal(cents) / 100

    trade = read(good(Quantity=str(quantity), UnitPrice=str(price), Description=name))

    for refused in trade.rejections:  # of letters that show nothing
        assert refused.reason.startswith("Description must not")
    for line in trade.lines:
        assert (line.quantity, line.price) == (quantity, price)
        assert line.description == unicodedata.normalize("NFC", name.strip())
        assert line.amount == Decimal(quantity * cents) / 100


ONLINE_RETAIL_II = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n"


def test_the_columns_of_online_retail_ii_are_known(read):
    (line,) = read((ONLINE_RETAIL_II + GOOD).encode()).lines

    assert (line.invoice, line.price, line.customer) == ("536365", Decimal("2.55"), "17850")


def test_a_column_of_its_usual_name_goes_before_its_other_name(read):
    header = HEADER.strip() + ",Price\n"

    (line,) = read((header + GOOD.strip() + ",9.99\n").encode()).lines

    assert line.price == Decimal("2.55")


def test_columns_that_are_not_used_may_have_one_name(read):
    (line,) = read((HEADER.strip() + ",,\n" + GOOD.strip() + ",x,y\n").encode()).lines

    assert line.invoice == "536365"


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("2010-12-01T08:26:00", datetime(2010, 12, 1, 8, 26, tzinfo=UTC)),
        ("2010-12-01T08:26:00Z", datetime(2010, 12, 1, 8, 26, tzinfo=UTC)),
        ("2010-12-01T00:26+01:00", datetime(2010, 11, 30, 23, 26, tzinfo=UTC)),
        ("2010-12-01 08:26:00.1234567", datetime(2010, 12, 1, 8, 26, 0, 123456, tzinfo=UTC)),
        ("1970-01-01 00:00", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_of_iso_8601_are_read(read, written, at):
    (line,) = read(good(InvoiceDate=written)).lines

    assert line.at == at
    assert line.at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("word", ["NA", "N/A", "nan", "NULL", "None", "#N/A", "-", "unknown"])
@pytest.mark.parametrize("column", ["CustomerID", "StockCode", "Description"])
def test_a_word_for_no_value_is_no_name(rejected, column, word):
    reason = f"{column} is {word}, a word for no value: leave the field empty instead"

    assert rejected(GOOD + good(**{column: word})) == {3: reason}


@pytest.mark.parametrize("invoice", ["A563185", "INV-1", "c536365", "Ä1"])
def test_an_invoice_that_begins_with_another_letter_than_c_is_rejected(rejected, invoice):
    reason = f"InvoiceNo begins with {invoice[0]}: an adjustment, no invoice and no cancellation"

    assert rejected(GOOD + good(InvoiceNo=invoice)) == {3: reason}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"StockCode": "85\u200b123"}, "StockCode must not contain U+200B (zero width space)"),
        ({"Description": "LAN\u202eTERN"}, "Description must not contain U+202E"),
        ({"InvoiceNo": "5\xad36365"}, "InvoiceNo must not contain U+00AD (soft hyphen)"),
        ({"CustomerID": "-f"}, "CustomerID cannot be a user name: '-f'"),
        ({"CustomerID": ".."}, "CustomerID cannot be a user name: '..'"),
        ({"InvoiceDate": "1969-12-31 23:59:59"}, "InvoiceDate lies before 1970"),
    ],
)
def test_what_the_api_would_refuse_is_rejected_by_its_line(rejected, change, reason):
    reasons = rejected(GOOD + good(**change))

    assert list(reasons) == [3]
    assert reasons[3].startswith(reason)


def test_texts_equal_to_the_eye_are_equal(read):
    trade = read(good(StockCode="CAF\u00c9") + good(StockCode="CAFE\u0301", UnitPrice="0.00"))

    assert trade.lines[0].sku == trade.rejections[0].sku == "CAF\u00c9"


def exported(delimiter, *columns):
    """A file as spreadsheet programs of the continent export it."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\r\n")
    writer.writerows([HEADER.strip().split(","), columns])
    return text.getvalue()


GERMAN = ("536365", "85123A", "Größe €", "6", "01.12.2010 08:26", "1234,5", "17850,0", "UK")


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_common_exports_are_read_when_the_caller_says_how(read, delimiter, encoding):
    form = Form(delimiter, ",", "%d.%m.%Y %H:%M", encoding)

    (line,) = read(exported(delimiter, *GERMAN).encode(encoding), form=form).lines

    assert (line.description, line.price, line.customer) == ("Größe €", Decimal("1234.50"), "17850")
    assert line.at == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)


def test_american_dates_are_read_when_the_caller_says_how(read):
    form = Form(date_format="%m/%d/%Y %H:%M")

    (line,) = read(good(InvoiceDate="12/1/2010 8:26"), form=form).lines

    assert line.at == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)


@pytest.mark.parametrize(
    ("form", "change", "reason"),
    [
        ({"decimal": ","}, {"UnitPrice": "2.55"}, "UnitPrice is no decimal number: '2.55'"),
        ({"decimal": ","}, {"UnitPrice": "1.234,5"}, "UnitPrice is no decimal number: '1.234,5'"),
        (
            {"date_format": "%m/%d/%Y %H:%M"},
            {"InvoiceDate": "13/1/2010 8:26"},
            "InvoiceDate is not written %m/%d/%Y %H:%M: '13/1/2010 8:26'",
        ),
    ],
)
def test_a_line_in_another_form_than_the_caller_says_is_rejected(read, form, change, reason):
    fitting = {"UnitPrice": "2"} | (
        {"InvoiceDate": "12/1/2010 8:26"} if "date_format" in form else {}
    )

    trade = read(good(**fitting) + good(**(fitting | change)), form=Form(**form))

    assert [(one.number, one.reason) for one in trade.rejections] == [(3, reason)]


@pytest.mark.parametrize(("delimiter", "word"), [(";", "';'"), ("\t", "tab"), ("|", "'|'")])
def test_a_file_with_another_delimiter_is_refused_and_the_option_is_named(read, delimiter, word):
    told = refusal(read, exported(delimiter, *GERMAN).encode())

    assert f"separates its columns by {word}" in told
    assert f"--delimiter {word}, and with --decimal , if" in told


def test_a_byte_of_another_encoding_is_named_with_its_line(read):
    data = (HEADER + GOOD).encode("utf-16")[:-1]

    assert "is not UTF-16" in refusal(read, data, encoding="utf-16")
