"""A spreadsheet program can open the report of rejected lines, and computes nothing of it."""

import csv

import pytest
from import_trade.report import harmless, write_report


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\uff1d1", "'\uff1d1"),
        ("\t=1", "'\t'=1"),
        ("\r1", "'\r1"),
        ("  =1", "'  =1"),
        ('"=1"', '\'"=1"'),
        ("a;=1", "a;'=1"),
        ('a;"=1"', 'a;\'"=1"'),
        ("a\t@b", "a\t'@b"),
    ],
)
def test_a_cell_that_a_program_would_compute_becomes_a_text(cell, written):
    assert harmless(cell) == written


@pytest.mark.parametrize(
    "cell", ["", "35", "536365,-6,2.55", "a=b", "a-b; c", "Quantity is no: '=1'"]
)
def test_other_cells_stay_as_they_are(cell):
    assert harmless(cell) == cell


def test_the_report_has_every_cell_in_quotes_and_its_lines_as_the_file_has_them(plan, tmp_path):
    formula = "=cmd|' /C calc'!A0,A,a,1,,1,,UK"
    malformed = "1,A,a,1,2010-12-01 08:26:00,x,7,UK"
    body = "\n".join([malformed, formula, malformed.replace("x", "1")])
    report = tmp_path / "new" / "report.csv"

    write_report(report, plan(body))

    lines = report.read_text().splitlines()
    rows = list(csv.DictReader(lines))
    assert [row["line"] for row in rows] == ["2", "3"]
    assert rows[0]["text"] == malformed
    assert rows[1]["text"] == "'" + formula
    assert all(line.startswith('"') and line.endswith('"') for line in lines)
