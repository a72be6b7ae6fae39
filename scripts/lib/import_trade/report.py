"""The report of rejected lines, a CSV file that is safe to open in a spreadsheet program."""

import csv
import re
from pathlib import Path

from import_trade.planning import Plan
from import_trade.records import Refused

# Programs compute a cell that begins so (https://owasp.org/www-community/attacks/CSV_Injection).
# Those that separate by semicolons or tabs begin a cell there, even inside of quotes.
FORMULA = re.compile(
    """(^|[;\\t\\r\\n])(?=[\\s"']*[=+@\\uff1d\\uff0b\\uff0d\\uff20-]|[\\t\\r\\n])"""
)


def write_report(path: Path, plan: Plan) -> None:
    """Write the rejected lines, or the header alone, so that no earlier report is mistaken for
    this one's. It is written before anything is imported: a report that cannot be had stops it."""
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerow(["line", "reason", "text"])
            for one in plan.rejections:
                writer.writerow(map(harmless, (one.place, one.reason, one.text)))
        unfinished.replace(path)
    except OSError as error:
        raise Refused(f"the report cannot be written to {path}: {error.strerror}") from error


def harmless(cell: str) -> str:
    """Return the cell with an apostrophe before each formula, by which it becomes a text."""
    return FORMULA.sub(r"\1'", cell)
