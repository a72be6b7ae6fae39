"""How a text file writes its fields, and the names that its columns may have."""

from dataclasses import dataclass

COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)
OTHER_NAMES = {"InvoiceNo": "Invoice", "UnitPrice": "Price", "CustomerID": "Customer ID"}
"""The names in the data set "Online Retail II"."""


@dataclass(frozen=True, slots=True)
class Form:
    """The default is RFC 4180 in UTF-8, with the numbers and times of ISO 8601."""

    delimiter: str = ","
    decimal: str = "."
    """The character before the decimals of a price."""
    date_format: str | None = None
    """Directives of strptime, for files that do not write ISO 8601."""
    encoding: str = "utf-8"


PLAIN = Form()


@dataclass(frozen=True, slots=True)
class Header:
    """What the first line says."""

    places: dict[str, int]
    """The place of each of COLUMNS, whatever the file calls it."""
    width: int
    """How many fields the first line has, and so each line must have."""
