"""Clocks that can be stepped: each service's own, through a library that is loaded before libc.

    clocks = Clocks(stack)
    clocks.settings("microservice2")     # for the service's environment; {} without a compiler
    clocks.step("microservice2", -300)   # its uWSGI and its worker are five minutes slow
    clocks.step("microservice2", 0)

As on a real host, a step moves the wall clock and leaves the monotonic one alone. PostgreSQL and
the clients keep the true time.
"""

import shutil
import struct
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("stepped_clock.c")


class Clocks:
    """The clocks of a stack. missing: why there is none to step, or None."""

    def __init__(self, stack):
        self._folder = stack.var / "clocks"
        self._library = self._folder / "stepped_clock.so"
        self.missing = "there is no compiler (gcc) with its libraries"
        if shutil.which("gcc"):
            self._folder.mkdir()
            command = ["gcc", "-Wall", "-O1", "-shared", "-fPIC", "-o", self._library, _SOURCE]
            if subprocess.run(command, check=False).returncode == 0:
                self.missing = None

    def settings(self, service):
        """Return {name: value}: what a service must be started with."""
        if self.missing:
            return {}
        self.step(service, 0)
        return {"LD_PRELOAD": self._library, "CLOCK_OFFSET_FILE": self._folder / service}

    def step(self, service, seconds):
        """From now on, a service's clock is so many seconds fast, slow if they are negative."""
        file = self._folder / service
        file.touch()
        with file.open("r+b", buffering=0) as mapped:  # where it is: processes have it mapped
            mapped.write(struct.pack("=q", seconds))
