"""Processor time, from /proc: that of a stack, and what others have left to it."""

import os
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def used_by(folder):
    """Return the seconds that the processes of the stack in `folder` (var) have used so far."""
    processes = dict(_processes())
    run = folder / "run"
    files = [*run.glob("*.pid"), *run.glob(".s.PGSQL.*.lock")]
    roots = {int(path.read_text().split()[0]) for path in files}
    return sum(
        seconds for pid, (_, seconds) in processes.items() if _descends(pid, roots, processes)
    )


def idle():
    """Return the seconds that all processors together have been idle."""
    words = Path("/proc/stat").read_text().partition("\n")[0].split()
    return (int(words[4]) + int(words[5])) / _TICK


def _processes():
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        own = int(words[11]) + int(words[12])
        yield int(folder.name), (int(words[1]), own / _TICK)


def _descends(pid, roots, processes):
    while pid in processes:
        if pid in roots:
            return True
        pid = processes[pid][0]
    return False
