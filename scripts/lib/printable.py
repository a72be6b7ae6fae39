"""Text from outside, made safe for a terminal: control and bidi characters are escaped.

Usage: printable.py COMMAND...    runs COMMAND and prints its standard output so

A log or a message can hold what a stranger has sent. Raw, ESC or U+009B would let it command the
terminal, and U+202E would let it look like another text. Exit status: COMMAND's.
"""

import subprocess
import sys

_KEPT = "\n\t"


def printable(text):
    """Return the text with each character that is not printable as `\\x9b` or `\\u202e`."""
    return "".join(
        char if char.isprintable() or char in _KEPT else char.encode("unicode_escape").decode()
        for char in text
    )


def run(command, choose=iter):
    """Print what the command prints, as it comes. choose: what of its lines. Returns its status."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        lines = (line.decode(errors="backslashreplace") for line in running.stdout)
        for line in choose(lines):
            sys.stdout.write(printable(line))
            sys.stdout.flush()
    return running.returncode


def exit_with(main, words):
    """End as main(words) says. A reader that goes away, and Ctrl-C, are no errors to explain."""
    try:
        sys.exit(main(words))
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(130)


if __name__ == "__main__":
    exit_with(run, sys.argv[1:])
