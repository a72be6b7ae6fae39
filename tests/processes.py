"""Processes of this machine, as /proc shows them."""

from pathlib import Path


def children(pid):
    """The processes that a process has started and that still live; none if it is gone itself."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, task.read_text().split())
    return found


def is_alive(pid):
    """Whether a process runs, is stopped or sleeps: neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
