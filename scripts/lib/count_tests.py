"""Print the totals of a test run, from its JUnit reports: `N passed, N failed, N skipped`."""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def totals(reports):
    """Return how many passed, failed and were skipped. A report that is missing is a failure."""
    passed = failed = skipped = 0
    for report in reports:
        if not report.exists() or not report.stat().st_size:
            failed += 1
            continue
        for suite in ElementTree.parse(report).iter("testsuite"):
            tests, out, left = (_count(suite, *names) for names in _COLUMNS)
            passed, failed, skipped = passed + tests - out - left, failed + out, skipped + left
    return passed, failed, skipped


_COLUMNS = (("tests",), ("failures", "errors"), ("skipped",))


def _count(suite, *names):
    return sum(int(suite.get(name, 0)) for name in names)


if __name__ == "__main__":
    print("{} passed, {} failed, {} skipped".format(*totals(map(Path, sys.argv[1:]))))
