"""A package with a known vulnerability fails the checks; a source out of reach is no all-clear."""

import json

import pytest
from advisories import NOT_CHECKED, main

SOUND = {"name": "flask", "version": "3.1.0", "vulns": []}
SKIPPED = {"name": "flask", "skip_reason": "Dependency not found and could not be audited"}
VULNERABLE = {
    "name": "jinja2",
    "version": "3.0.0",
    "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["3.0.1"], "aliases": [], "description": ""}],
}


@pytest.mark.parametrize(
    ("packages", "status", "said"),
    [
        ([SOUND, SOUND], 0, "2 packages have no known vulnerability."),
        ([SOUND, VULNERABLE], 1, "jinja2 3.0.0: PYSEC-2026-1, fixed in 3.0.1"),
        ([SKIPPED, SKIPPED], NOT_CHECKED, "NOT CHECKED"),
        ([], NOT_CHECKED, "NOT CHECKED"),
    ],
)
def test_what_is_known_is_told(capsys, packages, status, said):
    assert main(json.dumps({"dependencies": packages, "fixes": []})) == status
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "ConnectionError"])
def test_a_source_that_cannot_be_reached_is_no_all_clear(capsys, text):
    assert main(text) == NOT_CHECKED
    assert "NOT CHECKED" in capsys.readouterr().out
