"""Tells how a run of scripts/test ended: totals, what was skipped and why, and last what failed.

Usage: tell_tests.py FOLDER    with JUnit reports (*.xml) and what failed linters said (*.failed)
"""

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

_LINES = 10  # of a reason
_COLUMNS = 160


@dataclass
class Outcome:
    """What reports say. skipped: reasons, with how often. failed: pairs of a name and a reason."""

    passed: int = 0
    skipped: Counter = field(default_factory=Counter)
    failed: list = field(default_factory=list)

    def add(self, case):
        """Count one test, an element `testcase`."""
        for result in case:
            if result.tag in ("failure", "error"):
                self.failed.append((_name(case), _reason(result)))
                return
            if result.tag == "skipped":
                self.skipped[(case.get("classname"), result.get("message"))] += 1
                return
        self.passed += 1


def outcome(folder):
    """Return the Outcome of all reports in a folder. One that is not whole is a failure."""
    found = Outcome()
    for said in sorted(folder.glob("*.failed")):
        found.failed.append((said.stem, _first_lines(said.read_text(errors="replace"))))
    for report in sorted(folder.glob("*.xml")):
        try:
            cases = ElementTree.parse(report).iter("testcase")
        except ElementTree.ParseError:
            found.failed.append((f"pytest, {report.stem}", ["It ended without a report."]))
            continue
        for case in cases:
            found.add(case)
    return found


def _name(case):
    file = case.get("classname", "").replace(".", "/") + ".py"
    return f"{file}::{case.get('name')}" if case.get("classname") else case.get("name")


def _reason(result):
    """pytest's lines that begin with E say what was wrong; without any, its message does."""
    lines = [line[1:].strip() for line in (result.text or "").splitlines() if line[:2] == "E "]
    return _first_lines("\n".join(lines) or result.get("message") or "")


def _first_lines(text):
    lines = [line[:_COLUMNS] for line in text.strip().splitlines()]
    more = [f"... and {len(lines) - _LINES} lines more"] if len(lines) > _LINES else []
    return lines[:_LINES] + more


def tell(found):
    skipped = sum(found.skipped.values())
    print(f"{found.passed} passed, {len(found.failed)} failed, {skipped} skipped")
    if found.skipped:
        print("\nSkipped:")
    for (place, reason), count in found.skipped.items():
        print(f"  {count} in {place}: {reason}")
    if found.failed:
        print("\nFailed:")
    for name, reason in found.failed:
        print(f"  {name}")
        for line in reason:
            print(f"            | {line}")


if __name__ == "__main__":
    tell(outcome(Path(sys.argv[1])))
