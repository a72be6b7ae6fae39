"""Clocks that can be stepped: each service's own, by libfaketime (Debian's package of that name).

    clocks = Clocks(stack)
    clocks.settings("microservice2")     # for the service's environment; {} without the library
    clocks.step("microservice2", -300)   # its uWSGI and its worker are five minutes slow
    clocks.step("microservice2", 0)

As on a real host, a step moves the wall clock and leaves the monotonic one alone. PostgreSQL and
the clients keep the true time.
"""

from pathlib import Path

_LIBRARIES = "*/faketime/libfaketimeMT.so.1"  # below /usr/lib; Debian's, of any architecture


class Clocks:
    """The clocks of a stack. missing: why there is none to step, or None."""

    def __init__(self, stack):
        self._folder = stack.var / "clocks"
        self._library = next(Path("/usr/lib").glob(_LIBRARIES), None)
        self.missing = None if self._library else "libfaketime is not installed"

    def settings(self, service):
        """Return {name: value}: what a service must be started with.

        Bash reads the file that BASH_ENV names, just before it becomes uWSGI or the worker: setsid,
        which starts it and ends, would take the library's semaphore with it.
        """
        if self.missing:
            return {}
        self._folder.mkdir(exist_ok=True)
        self.step(service, 0)
        environment = {
            "LD_PRELOAD": self._library,
            "FAKETIME_TIMESTAMP_FILE": self._folder / service,
            "FAKETIME_DONT_FAKE_MONOTONIC": 1,
            "FAKETIME_CACHE_DURATION": 1,  # seconds: how long a step may go unnoticed
        }
        file = self._folder / f"{service}.bash"
        file.write_text("".join(f'export {name}="{environment[name]}"\n' for name in environment))
        return {"BASH_ENV": file}

    def step(self, service, seconds):
        """From now on, a service's clock is so many seconds fast, slow if they are negative."""
        file = self._folder / service
        new = file.with_suffix(".new")
        new.write_text(f"{seconds:+}\n")
        new.replace(file)  # nobody reads half of it
