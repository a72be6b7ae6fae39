"""The version and the settings are written in several places, which say the same."""

import re
from pathlib import Path

from chassis.version import VERSION

ROOT = Path(__file__).resolve().parents[2]


def test_the_version_is_in_one_file_of_the_checkout():
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    assert (ROOT / "VERSION").read_text() == f"{VERSION}\n"


def test_the_changelog_has_a_dated_section_of_this_version_behind_the_unreleased():
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.M)

    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(VERSION)} - \d{{4}}-\d\d-\d\d", headings[1])


def test_no_document_deploys_a_tag_that_is_not_there():
    for document in (ROOT / "README.md", *ROOT.glob("docs/*.md")):
        assert not re.search(r"scripts/deploy \S+ v\d", document.read_text()), document
