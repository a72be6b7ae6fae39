"""The end of scripts/test: totals, what was skipped and why, and last what failed and why."""

from tell_tests import outcome, tell

REPORT = """<testsuites><testsuite>
<testcase classname="tests.unit.test_sums" name="test_one" time="0.1"/>
<testcase classname="tests.unit.test_sums" name="test_two" time="0.1">
<failure message="assert 1 == 2">def test_two():
&gt;       assert 1 == 2
E       assert 1 == 2

tests/unit/test_sums.py:5: AssertionError</failure></testcase>
<testcase classname="tests.host.test_it" name="test_a"><skipped message="no machine"/></testcase>
<testcase classname="tests.host.test_it" name="test_b"><skipped message="no machine"/></testcase>
<testcase classname="" name="tests.contract.test_all">
<error message="collection failure">E   ValueError: too many values to unpack</error></testcase>
</testsuite></testsuites>"""


def test_failures_come_last_with_their_reasons(tmp_path, capsys):
    (tmp_path / "chosen.xml").write_text(REPORT)
    (tmp_path / "ruff check.failed").write_text("E501 Line too long\n" * 12)

    tell(outcome(tmp_path))

    told = capsys.readouterr().out.splitlines()
    assert told[0] == "1 passed, 3 failed, 2 skipped"
    assert told[2:4] == ["Skipped:", "  2 in tests.host.test_it: no machine"]
    assert told[5:8] == ["Failed:", "  ruff check", "            | E501 Line too long"]
    assert "            | ... and 2 lines more" in told
    assert told[-4:] == [
        "  tests/unit/test_sums.py::test_two",
        "            | assert 1 == 2",
        "  tests.contract.test_all",
        "            | ValueError: too many values to unpack",
    ]


def test_a_run_without_a_whole_report_has_failed(tmp_path):
    (tmp_path / "stacks.xml").write_text("")

    assert outcome(tmp_path).failed == [("pytest, stacks", ["It ended without a report."])]


def test_a_run_without_failures_tells_of_none(tmp_path, capsys):
    (tmp_path / "chosen.xml").write_text(
        '<testsuite><testcase classname="a" name="b"/></testsuite>'
    )

    tell(outcome(tmp_path))

    assert capsys.readouterr().out == "1 passed, 0 failed, 0 skipped\n"
