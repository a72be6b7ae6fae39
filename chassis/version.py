"""The version of Quartet, as the file `VERSION` beside the chassis says it.

A release on a host holds a copy of that file. It is read at import: later, the path may lead to
another release.
"""

from pathlib import Path

VERSION = (Path(__file__).resolve().parents[1] / "VERSION").read_text(encoding="utf-8").strip()
