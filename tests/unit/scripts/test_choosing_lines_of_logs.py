"""scripts/logs --since and --errors: lines of four programs, with times and without."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from log_lines import chosen, last_error

LIBRARY = Path(__file__).resolve().parents[3] / "scripts" / "lib"
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()


def service(time="2026-11-28T12:00:00.000000Z", level="info", message="served", **more):
    return json.dumps({"time": time, "level": level, "message": message, **more}) + "\n"


def access(status, seconds=NOON):
    entry = {"listener": "public", "ended": seconds, "method": "GET", "path": "/x"}
    return json.dumps({**entry, "status": status}) + "\n"


CRASH = [
    "Traceback (most recent call last):\n",
    '  File "app.py", line 1, in <module>\n',
    "    import colour\n",
    "ModuleNotFoundError: No module named 'colour'\n",
]
ERRORS = [
    service(level="error", message="not delivered"),
    service(level="critical"),
    service(name="access", level="info", status=500),
    access(503),
    "2026-11-28 12:00:00.123 UTC [77] FATAL:  the database system is shutting down\n",
    "2026/11/28 12:00:00 [crit] 9#9: open() failed (24: Too many open files)\n",
    "Sat Nov 28 12:00:00 2026 - *** HARAKIRI ON WORKER 1 ***\n",
    *CRASH,
]
OTHERS = [
    service(),
    service(level="warning", message="an error of others"),
    access(404),
    "2026-11-28 12:00:00.123 UTC [77] LOG:  checkpoint complete\n",
    " *** WARNING: you have enabled harakiri without post buffering. ***\n",
    "OSError: write error\n",
    "[1, 2, 3]\n",
    "{broken\n",
]


@pytest.mark.parametrize("line", ERRORS[: -len(CRASH)])
def test_an_error_is_an_error(line):
    assert list(chosen([line], errors=True)) == [line]


def test_a_traceback_is_shown_whole_and_ends_with_its_exception():
    assert list(chosen([*CRASH, "goodbye to uWSGI.\n"], errors=True)) == CRASH


@pytest.mark.parametrize("line", OTHERS)
def test_what_is_no_error_is_left_out(line):
    assert list(chosen([line], errors=True)) == []


def test_lines_since_a_time_are_shown_with_those_that_have_none():
    old, new = service("2026-11-28T11:59:59Z"), service("2026-11-28T12:00:00Z")

    assert list(chosen([old, *CRASH, new, *CRASH], since=NOON)) == [new, *CRASH]


@pytest.mark.parametrize(
    "line",
    [
        access(200),
        "2026-11-28 12:00:00.123 UTC [77] LOG:  checkpoint complete\n",
        "2026/11/28 12:00:00 [crit] 9#9: open() failed\n",
    ],
)
def test_each_programs_time_is_understood(line):
    assert list(chosen([line], since=NOON)) == [line]
    assert list(chosen([line], since=NOON + 1)) == []


def test_the_last_lines_of_each_file_stand_under_its_name():
    files = ["==> a.log <==\n", access(500), access(501), "\n", "==> b.log <==\n", access(200)]
    files += ["==> c.log <==\n", access(502)]

    shown = list(chosen(files, errors=True, most=1))

    assert shown == ["\n==> a.log <==\n", access(501), "\n==> c.log <==\n", access(502)]


def test_lines_are_shown_as_they_come():
    coming = iter([access(500), RuntimeError])
    shown = chosen((line for line in coming if line is not RuntimeError), errors=True)

    assert next(shown) == access(500)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([*CRASH, "goodbye to uWSGI.\n"], "ModuleNotFoundError: No module named 'colour'"),
        (
            [
                service(
                    level="error", message="cannot connect", exc_info="Traceback\n  x\nOSError: no"
                )
            ],
            "cannot connect: OSError: no",
        ),
        ([CRASH[-1], access(500)], "ModuleNotFoundError: No module named 'colour'"),
        ([access(500), access(200)], None),
        ([service()], None),
    ],
)
def test_the_last_error_in_a_few_words(lines, words):
    assert list(last_error(lines)) == ([words + "\n"] if words else [])


def test_what_is_shown_cannot_command_a_terminal(tmp_path):
    (tmp_path / "log").write_text("2026/11/28 12:00:00 [crit] \x9b31m\n")

    command = ["python3", LIBRARY / "log_lines.py", "--errors", "cat", tmp_path / "log"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout == "2026/11/28 12:00:00 [crit] \\x9b31m\n"
