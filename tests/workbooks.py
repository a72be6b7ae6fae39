"""Workbooks with the cell types of the published data set "Online Retail"."""

import csv
import lzma
from datetime import datetime
from pathlib import Path

import openpyxl

ONLINE_RETAIL = Path(__file__).parent / "data" / "online-retail-a.csv.xz"


def online_retail():
    """The text of the data set's first 7,003 lines."""
    return lzma.decompress(ONLINE_RETAIL.read_bytes()).decode()


def write_workbook(path, text, sheet="Online Retail"):
    """Write the lines of a CSV text as the published workbook has them."""
    book = openpyxl.Workbook(write_only=True)
    made = book.create_sheet(sheet)
    header, *lines = csv.reader(text.splitlines())
    made.append(header)
    for line in lines:
        made.append(list(map(_cell, header, line)))
    book.save(path)


def _cell(column, text):
    """Codes of digits alone are numbers, and times are serial numbers of days."""
    if not text:
        return None
    if column == "InvoiceDate":
        return datetime.fromisoformat(text)
    if column in ("UnitPrice", "CustomerID"):
        return float(text)
    if column in ("InvoiceNo", "StockCode", "Quantity"):
        return int(text) if text.lstrip("-").isdigit() else text
    return text
