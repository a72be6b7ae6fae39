"""Print the totals of a test run, from its JUnit report: `N passed, N failed, N skipped`."""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def totals(report):
    if not report.stat().st_size:
        return 0, 1, 0
    suites = list(ElementTree.parse(report).iter("testsuite"))

    def count(name):
        return sum(int(suite.get(name, 0)) for suite in suites)

    failed = count("failures") + count("errors")
    skipped = count("skipped")
    return count("tests") - failed - skipped, failed, skipped


if __name__ == "__main__":
    print("{} passed, {} failed, {} skipped".format(*totals(Path(sys.argv[1]))))
