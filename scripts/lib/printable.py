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


def main(command):
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        for line in running.stdout:
            sys.stdout.write(printable(line.decode(errors="backslashreplace")))
            sys.stdout.flush()
    return running.returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(130)
