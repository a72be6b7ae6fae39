"""A workbook is read as the text file that it could have been, and a dangerous one is refused."""

import datetime as dt
import io
import re
import zipfile
from datetime import UTC, datetime
from decimal import Decimal

import openpyxl
import pytest
from import_trade import workbook
from import_trade.form import Form
from import_trade.planning import make_plan
from import_trade.reading import read_trade
from import_trade.records import Refused

from tests.workbooks import online_retail, write_workbook

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
COLUMNS = HEADER.split(",")
AT = datetime(2010, 12, 1, 8, 26)
GOOD = [536365, "85123A", "LANTERN", 6, AT, 2.55, 17850, "United Kingdom"]


def good(**changes):
    return list((dict(zip(COLUMNS, GOOD, strict=True)) | changes).values())


@pytest.fixture
def read(tmp_path, now):
    """Read a workbook of these sheets, by name; each is a list of rows below the usual first."""

    def read(*rows, form=Form(), epoch=None, **sheets):  # noqa: B008 - a Form never changes
        path = tmp_path / "trade.xlsx"
        made = openpyxl.Workbook()
        made.remove(made.active)
        if epoch:
            made.epoch = epoch
        for name, its_rows in (sheets or {"Online Retail": rows}).items():
            sheet = made.create_sheet(name.replace("_", " "))
            for row in its_rows and [COLUMNS, *its_rows]:
                sheet.append(row)
        made.save(path)
        return read_trade(path, now, form)

    return read


@pytest.fixture
def refusal(tmp_path, now):
    """Returns why these bytes are refused."""

    def refusal(data, name="trade.xlsx"):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(Refused) as refused:
            read_trade(path, now)
        return str(refused.value)

    return refusal


def rejected(trade):
    return {one.place: one.reason for one in trade.rejections}


def test_numbers_texts_and_dates_of_cells_are_read_to_the_last_one(read):
    (line,) = read(GOOD).lines

    assert (line.number, line.place, line.invoice, line.sku) == (2, "2", "536365", "85123A")
    assert (line.description, line.quantity, line.customer) == ("LANTERN", 6, "17850")
    assert (line.at, line.price) == (AT.replace(tzinfo=UTC), Decimal("2.55"))


@pytest.mark.parametrize(
    ("cell", "price"),
    [
        (18, "18.00"),
        (0.1 + 0.2, "0.30"),
        (2.5499999999999998, "2.55"),
        (9_999_999.99, "9999999.99"),
    ],
)
def test_a_price_is_the_number_that_the_spreadsheet_shows(read, cell, price):
    assert str(read(good(UnitPrice=cell)).lines[0].price) == price


@pytest.mark.parametrize(
    ("column", "cell", "told"),
    [
        ("StockCode", 22633, "22633"),
        ("StockCode", 22633.0, "22633"),
        ("InvoiceNo", "536365", "536365"),
        ("CustomerID", 17850.0, "17850"),
        ("CustomerID", None, "None"),
        ("Description", 12, "12"),
    ],
)
def test_a_cell_is_a_number_or_a_text_as_the_program_that_saved_it_liked(read, column, cell, told):
    (line,) = read(good(**{column: cell})).lines

    field = {"StockCode": "sku", "InvoiceNo": "invoice", "CustomerID": "customer"}.get(column)
    assert str(getattr(line, field or column.lower())) == told


@pytest.mark.parametrize(
    "epoch", [openpyxl.utils.datetime.WINDOWS_EPOCH, openpyxl.utils.datetime.MAC_EPOCH]
)
def test_a_serial_number_of_a_day_is_a_time_by_the_epoch_of_the_workbook(read, epoch):
    serial = openpyxl.utils.datetime.to_excel(AT, epoch)

    trade = read(
        good(InvoiceDate=serial),
        good(InvoiceDate=AT),
        good(InvoiceDate=AT.isoformat()),
        epoch=epoch,
    )

    assert [line.at for line in trade.lines] == [AT.replace(tzinfo=UTC)] * 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Quantity": 6.5}, "Quantity is no whole number: '6.5'"),
        ({"Quantity": True}, "Quantity is no whole number: 'TRUE'"),
        ({"UnitPrice": 0}, "the price is zero"),
        ({"UnitPrice": 1e300}, "UnitPrice is beyond 9,999,999,999.99"),
        ({"UnitPrice": 0.001}, "UnitPrice has more than two decimals: '0.001'"),
        ({"InvoiceDate": dt.time(8, 26)}, "InvoiceDate is not written"),
        ({"InvoiceDate": 1e300}, "InvoiceDate is not written"),
        ({"InvoiceDate": "12/1/2010 8:26"}, "InvoiceDate is not written"),
        ({"InvoiceDate": None}, "InvoiceDate is not written"),
        ({"CustomerID": "#N/A"}, "CustomerID is #N/A, a word for no value"),
        ({"Description": "two\nlines"}, "Description must not contain U+000A"),
        ({"InvoiceNo": "A563185"}, "InvoiceNo begins with A"),
    ],
)
def test_a_row_that_is_no_trade_or_cannot_be_read_is_rejected_by_its_number(read, change, reason):
    trade = read(GOOD, good(**change), GOOD)

    assert [line.number for line in trade.lines] == [2, 4]
    assert list(rejected(trade)) == ["3"]
    assert rejected(trade)["3"].startswith(reason)


def test_a_rejected_row_is_shown_as_a_line_of_text(read):
    (one,) = read(GOOD, good(UnitPrice=0, Description='6" LAMP')).rejections

    assert one.text == '536365,85123A,"6"" LAMP",6,2010-12-01 08:26:00,0,17850,United Kingdom'


def test_rows_may_be_blank_and_cells_missing_at_the_end_but_none_may_be_beside(read):
    trade = read(GOOD, [], good(Country=None), [*GOOD, None, "note"], [*GOOD, None])

    assert [line.number for line in trade.lines] == [2, 4, 6]
    assert rejected(trade) == {"5": "10 fields where the first line has 8"}


def test_all_sheets_are_read_and_an_invoice_counts_on_the_first_one_that_has_it(read):
    trade = read(
        Year_2009=[GOOD, good(InvoiceNo="C1", Quantity=-1), good(Quantity=0)],
        Empty=[],
        Year_2010=[good(InvoiceNo=536366), GOOD, good(InvoiceNo="C1", Quantity=-1)],
    )

    assert [(line.number, line.place) for line in trade.lines] == [
        (2, "Year 2009!2"),
        (3, "Year 2009!3"),
        (6, "Year 2010!2"),
    ]
    again = "the invoice stands on sheet Year 2009 of trade.xlsx already"
    assert rejected(trade) == {
        "Year 2009!4": "the quantity is zero",
        "Year 2010!3": again,
        "Year 2010!4": again,
    }


def test_a_sheet_without_the_columns_refuses_the_workbook(tmp_path, now):
    made = openpyxl.load_workbook(io.BytesIO(book(GOOD)))
    made.create_sheet("Notes").append(["bought from"])
    made.save(tmp_path / "trade.xlsx")

    with pytest.raises(Refused, match="sheet Notes of trade.xlsx: column InvoiceNo, .* is missing"):
        read_trade(tmp_path / "trade.xlsx", now)


def test_wrong_dimensions_cut_no_row_off(tmp_path, now):
    data = changed(book(GOOD, GOOD), "xl/worksheets/sheet1.xml", b'ref="A1:H3"', b'ref="A1:B2"')
    (tmp_path / "trade.xlsx").write_bytes(data)

    assert len(read_trade(tmp_path / "trade.xlsx", now).lines) == 2


def test_options_for_text_files_are_refused(read):
    with pytest.raises(Refused, match="leave out --delimiter, --decimal"):
        read(GOOD, form=Form(delimiter=";"))


# ---- what is no workbook, or a dangerous one


def book(*rows, columns=COLUMNS):
    made = openpyxl.Workbook()
    for row in (columns, *rows):
        made.active.append(row)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def part_of(data, part):
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        return parts.read(part)


def changed(data, part, old, new):
    """The workbook with other bytes in one part."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for info in source.infolist():
            content = source.read(info)
            if info.filename == part:
                assert old in content
                content = content.replace(old, new)
            made.writestr(info.filename, content)
    return file.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
TEXTS = (
    '<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">%s</sst>',
    '<Override PartName="/xl/sharedStrings.xml" ContentType="application/'
    'vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/></Types>',
)


def as_excel_saves_it(data):
    """The workbook with its texts in a table of their own, which openpyxl does not write."""
    texts = []

    def put(found):
        texts.append(f"<si>{found[2].decode()}</si>")
        return b'%s t="s"><v>%d</v></c>' % (found[1], len(texts) - 1)

    sheet = part_of(data, SHEET)
    cells = re.compile(rb'(<c [^>]*?) t="inlineStr"><is>(.*?)</is></c>')
    data = changed(data, SHEET, sheet, cells.sub(put, sheet))
    assert texts
    data = changed(data, "[Content_Types].xml", b"</Types>", TEXTS[1].encode())
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a") as made:
        made.writestr("xl/sharedStrings.xml", TEXTS[0] % "".join(texts))
    return file.getvalue()


def test_texts_in_a_table_of_their_own_are_read(tmp_path, now):
    (tmp_path / "trade.xlsx").write_bytes(as_excel_saves_it(book(GOOD, good(StockCode="A"))))

    lines = read_trade(tmp_path / "trade.xlsx", now).lines

    assert [(line.sku, line.description) for line in lines] == [
        ("85123A", "LANTERN"),
        ("A", "LANTERN"),
    ]


def test_a_zip_bomb_is_refused_before_it_is_unpacked(refusal):
    bomb = changed(book(GOOD), SHEET, b"<sheetData>", b"<sheetData>" + b" " * 4_000_000)

    told = refusal(bomb)

    assert f"{SHEET} unpacks to more than 100 times its size" in told


def test_a_workbook_that_unpacks_to_too_much_is_refused(refusal, monkeypatch):
    monkeypatch.setattr(workbook, "MOST_BYTES", 5_000)
    monkeypatch.setattr(workbook, "MEBIBYTE", 1_000)

    assert "and at most 5 are read. Divide it" in refusal(book(GOOD))


def test_a_part_beside_the_sheets_that_is_too_large_is_refused(refusal, monkeypatch):
    monkeypatch.setattr(workbook, "MOST_BYTES_BESIDE_SHEETS", 1_000)

    assert "are read beside the sheets" in refusal(book(GOOD))


def test_a_row_number_that_no_sheet_has_is_refused_without_counting_there(refusal):
    data = changed(book(GOOD, GOOD), SHEET, b'<row r="3"', b'<row r="30000000000"')

    assert "more than 1,048,576 rows" in refusal(data)


@pytest.mark.parametrize("part", [SHEET, "xl/sharedStrings.xml", "xl/styles.xml"])
def test_entities_are_refused(refusal, part):
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    data = as_excel_saves_it(book(GOOD))
    content = part_of(data, part)
    declared = content.index(b"?>") + 2 if content.startswith(b"<?") else 0

    told = refusal(changed(data, part, content, content[:declared] + bomb + content[declared:]))

    assert "EntitiesForbidden" in told


@pytest.mark.parametrize("end", [100, 3_000, -30])
def test_half_a_workbook_is_refused(refusal, end):
    assert "cannot be read as a workbook" in refusal(book(GOOD)[:end])


@pytest.mark.parametrize("part", ["[Content_Types].xml", "xl/workbook.xml", SHEET])
def test_a_workbook_with_a_damaged_part_is_refused(refusal, part):
    data = book(GOOD)
    content = part_of(data, part)

    told = refusal(changed(data, part, content, content[: len(content) // 2]))

    assert "cannot be read as a workbook" in told


def test_a_zip_that_is_no_workbook_is_refused_with_a_hint(refusal):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("Online Retail.xlsx", book(GOOD))

    assert "If a workbook is packed in it, unpack it first." in refusal(file.getvalue(), "data.zip")


def test_a_workbook_of_before_2007_or_with_a_password_is_refused_with_a_hint(refusal):
    told = refusal(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2_000), "trade.xls")

    assert "before 2007, or has a password" in told


def test_the_published_workbook_makes_the_plan_of_the_same_lines_in_a_text_file(tmp_path, now):
    text, book = tmp_path / "trade.csv", tmp_path / "trade.xlsx"
    text.write_text(online_retail(), encoding="utf-8")
    write_workbook(book, online_retail())

    from_text, from_book = (make_plan(read_trade(path, now)) for path in (text, book))

    assert len(from_text.orders) == 318
    for part in ("users", "products", "orders", "returns"):
        assert getattr(from_book, part) == getattr(from_text, part)
    assert rejected(from_book) == rejected(from_text)


@pytest.mark.parametrize(
    ("cell", "text"), [(0.1 + 0.2, "0.3"), (1e-7, "0.0000001"), (17850.0, "17850"), (7, "7")]
)
def test_a_number_has_at_most_fifteen_digits(cell, text):
    assert workbook.text_of(cell) == text
