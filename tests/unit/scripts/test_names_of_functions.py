"""A script that defines a function of a library it sources would change the library's behaviour."""

import re
from pathlib import Path

import pytest

SCRIPTS_FOLDER = Path(__file__).parents[3] / "scripts"
LIBRARIES = SCRIPTS_FOLDER / "lib"
MEANT_TO_BE_REPLACED = {"when_interrupted"}
SCRIPTS = sorted(
    file
    for file in SCRIPTS_FOLDER.iterdir()
    if file.is_file() and file.read_text().startswith("#!/usr/bin/env bash")
)


def functions_of(file):
    return set(re.findall(r"^(\w+)\(\) \{", file.read_text(), re.MULTILINE))


def sourced_by(file, found=None):
    """Return the libraries that a script sources, directly or not."""
    found = set() if found is None else found
    for name in re.findall(r"lib/([\w${}]+\.sh)", file.read_text()):
        for place in ("host", "stack"):
            library = LIBRARIES / name.replace("${PLACE}", place)
            if library.exists() and library not in found:
                found.add(library)
                sourced_by(library, found)
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_no_script_takes_the_name_of_a_function_of_its_libraries(script):
    own = functions_of(script) - MEANT_TO_BE_REPLACED

    twice = {library.name: own & functions_of(library) for library in sourced_by(script)}

    assert {name: names for name, names in twice.items() if names} == {}
