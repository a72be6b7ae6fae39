"""How tests run the scripts, and see what runs."""

import os
import subprocess
from pathlib import Path

from tests.system.front_door import PROJECT

SERVICES = ("microservice1", "microservice2", "microservice3", "microservice4")


def run(*command, env=None, **options):
    options = {"capture_output": True, "text": True, "timeout": 120, **options}
    return subprocess.run([str(word) for word in command], env=env, **options)


def in_library(text, **env):
    """Run bash after the scripts' own libraries, with these variables."""
    libraries = PROJECT / "scripts" / "lib"
    sources = f'source "{libraries}/common.sh"; source "{libraries}/stack.sh"; '
    return run("bash", "-c", sources + text, env={**os.environ, **env})


def pid_of(stack, name):
    return int((stack.var / "run" / f"{name}.pid").read_text())


def pids(stack):
    names = [*SERVICES, *(f"{service}.worker" for service in SERVICES), "nginx"]
    postmaster = (stack.var / "postgres" / "postmaster.pid").read_text().split()[0]
    return {name: pid_of(stack, name) for name in names} | {"postgresql": int(postmaster)}


def descendants(pid):
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").glob("*/children")
        for child in task.read_text().split()
    ]
    return [pid, *(deeper for child in children for deeper in descendants(child))]
