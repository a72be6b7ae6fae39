"""Writes what scripts/status has found as JSON; its --help says in which shape.

Usage: status_json.py    with records on standard input. NUL ends each of them, and 0x1F lies
between its fields: `top` or `part` and then NAME=VALUE, or `note` and a sentence.
"""

import json
import re
import sys

from printable import exit_with

_NUMBER = re.compile(r"(0|[1-9][0-9]{0,14})(\.[0-9]{1,6})?")
_CONSTANTS = {"": None, "-": None, "true": True, "false": False}


def document(records):
    """Return the whole as a dict. records: lists of texts."""
    top, parts, notes = {}, [], []
    for kind, *fields in records:
        if kind == "note":
            notes.append(fields[0].strip())
        elif kind == "part":
            parts.append(_values(fields))
        else:
            top = _values(fields)
    return {**top, "parts": parts, "notes": notes}


def _values(fields):
    return {name: _value(text) for name, _, text in (field.partition("=") for field in fields)}


def _value(text):
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def main(_):
    records = sys.stdin.buffer.read().decode(errors="replace").split("\0")[:-1]
    print(json.dumps(document([record.split("\x1f") for record in records]), indent=2), flush=True)


if __name__ == "__main__":
    exit_with(main, sys.argv[1:])
