"""What the tests of the importer share: its package on the path, and files to read."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
sys.path.insert(0, str(CHECKOUT / "scripts" / "lib"))

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"


@pytest.fixture
def now():
    return datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def sample():
    return CHECKOUT / "scripts" / "lib" / "sample-trade.csv"


@pytest.fixture
def read(tmp_path, now):
    """Read a file made of the usual first line and this text, or of these very bytes."""
    from import_trade.form import PLAIN
    from import_trade.reading import read_trade

    def read(body, name="trade.csv", form=PLAIN):
        data = body if isinstance(body, bytes) else (HEADER + body).encode()
        path = tmp_path / name
        path.write_bytes(data)
        return read_trade(path, now, form)

    return read


@pytest.fixture
def rejected(read):
    """The reasons by line number."""

    def rejected(body):
        return {one.number: one.reason for one in read(body).rejections}

    return rejected


@pytest.fixture
def plan(read):
    from import_trade.planning import make_plan

    return lambda body, name="trade.csv": make_plan(read(body, name))
