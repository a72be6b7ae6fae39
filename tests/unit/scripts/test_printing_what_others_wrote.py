"""What a stranger has sent is printed by scripts, and must not command the operator's terminal."""

import io
import json
import subprocess
import sys
import trace as python_trace
from pathlib import Path

import dead_letters
import pytest
from printable import printable

LIBRARY = Path(__file__).resolve().parents[3] / "scripts" / "lib"
HOSTILE = {
    "\x1b[2J": r"\x1b[2J",
    "\x9b31m": r"\x9b31m",
    "\x7f": r"\x7f",
    "\r": r"\r",
    "\x85": r"\x85",
    "\u202e": r"\u202e",
    "\u2066": r"\u2066",
    "\u200f": r"\u200f",
    "\u2028": r"\u2028",
    "\ufeff": r"\ufeff",
    "\U000e0001": r"\U000e0001",
}
HARMLESS = "GET /häuser/日本 \t200\n"


@pytest.mark.parametrize("text", HOSTILE)
def test_control_characters_are_escaped(text):
    assert printable(f"a{text}b") == f"a{HOSTILE[text]}b"


def test_letters_of_every_script_are_printed_as_they_are():
    assert printable(HARMLESS) == HARMLESS


def run(*command):
    return subprocess.run(command, capture_output=True)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_command_says_is_escaped(text):
    done = run("python3", LIBRARY / "printable.py", "printf", "%s", f"{text}ü")

    assert done.stdout.decode() == HOSTILE[text] + "ü"


def test_bytes_that_are_no_text_are_escaped_and_the_status_is_the_commands():
    done = run("python3", LIBRARY / "printable.py", "sh", "-c", r"printf '\233\377\n'; exit 3")

    assert (done.stdout, done.returncode) == (b"\\x9b\\xff\n", 3)


@pytest.mark.parametrize("text", [text for text in HOSTILE if text < "\u2028" or text == "\u202e"])
@pytest.mark.parametrize("function", ["say", "warn"])
def test_messages_of_scripts_hold_no_control_character(function, text):
    done = run("bash", "-c", f'source "$0"; {function} "$1"', LIBRARY / "common.sh", f"a{text}ü\n")

    assert not any(char in (done.stdout + done.stderr).decode() for char in text if char < " ")
    assert text not in (done.stdout + done.stderr).decode()
    assert "ü\n" in (done.stdout + done.stderr).decode()


def test_the_log_of_a_step_that_fails_is_escaped():
    step = 'source "$0"; failing() { printf "a\\302\\23331m"; false; }; step Work hint failing'

    done = run("bash", "-c", step, LIBRARY / "common.sh")

    assert r"a\x9b31m" in done.stderr.decode()


def test_a_traced_request_is_escaped(monkeypatch, capsys):
    entry = {
        **{"listener": "public", "method": "GET", "path": "/\x9b31m\nnginx", "status": 404},
        **{"ended": 1.0, "seconds": 0.1},
    }
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(entry)))

    python_trace.main("a-request")

    assert r"GET /\x9b31m nginx: 404" in capsys.readouterr().out


def test_a_dead_letter_is_escaped(monkeypatch, capsys):
    letter = {
        **{"id": 1, "lane": "microservice4", "subject": "user/\x9b1", "event_type": "\u202e"},
        **{"attempts": 3, "created_at": "2026-01-31T09:30:00Z", "reason": "answered\x1b[2J"},
    }
    box = dead_letters.DeadLetters("http://localhost", "microservice1", "token")
    monkeypatch.setattr(box, "all", lambda: [letter])

    dead_letters.show_table([box])

    told = capsys.readouterr().out
    assert r"user/\x9b1" in told
    assert r"\u202e" in told
    assert r"answered\x1b[2J" in told
