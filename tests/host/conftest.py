"""A machine that `scripts/install` has made a host, once for all tests of this run."""

import json
import os
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.host.machine import CannotBoot, a_machine

SUITE = os.environ.get("QUARTET_SUITE", "bookworm")
RATE = float(os.environ.get("QUARTET_RATE", "200"))  # requests a second
LARGEST_SHARE_STOLEN = 0.02
LARGEST_SHARE_OF_A_SECOND = 0.5  # what lasts longer, runs into the time limit of a statement


@dataclass(frozen=True)
class Installation:
    """How the first `scripts/install` on the bare machine went."""

    seconds: float
    stolen: float
    output: str


@dataclass
class Load:
    """A steady stream of so many requests a second. What it has seen is here once it has ended.

    failing_seconds: from the first failure to the last.
    stolen: the share of this computer's time that a hypervisor gave to others meanwhile.
    stolen_at_worst: the largest share of a second.
    """

    rate: float
    requests: int = 0
    failed: int = 0
    failures: list = ()
    failing_seconds: float = 0
    p50: float = 0
    p99: float = 0
    longest: float = 0
    stolen: float = 0
    stolen_at_worst: float = 0

    @property
    def is_undisturbed(self):
        """Whether the computer was ours. If not, figures and time limits tell of the others."""
        return (
            self.stolen <= LARGEST_SHARE_STOLEN
            and self.stolen_at_worst <= LARGEST_SHARE_OF_A_SECOND
        )

    def assert_nobody_was_refused(self):
        theft = f"{self.stolen:.0%} of the time was stolen, {self.stolen_at_worst:.0%} of a second"
        assert self.failed == 0, (theft, self.failures)


@pytest.fixture(scope="session")
def bare_machine():
    if os.geteuid():
        pytest.skip("only root can boot machines")
    try:
        with a_machine(SUITE) as machine:
            yield machine
    except CannotBoot as reason:
        if os.environ.get("QUARTET_HOST") != "if-possible":
            raise
        pytest.skip(f"no machine can be booted here: {reason}")


@pytest.fixture(scope="session")
def installation(bare_machine):
    started, before = time.monotonic(), processor_time()
    output = bare_machine.output("scripts/install")
    stolen = share_stolen(before, processor_time())
    return Installation(time.monotonic() - started, stolen, output)


@pytest.fixture(scope="session")
def host(bare_machine, installation):
    """The machine, installed and running."""
    return bare_machine


@pytest.fixture
def under_load(host):
    """Returns a context manager: requests come while its body runs. Yields a Load to read after.

    orders: how many a second are placed beside what is read.
    """

    @contextmanager
    def loaded(orders=0):
        load = Load(RATE)
        command = host.command("python3", "tests/host/load.py", str(RATE), str(orders))
        token = host.output("scripts/token")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, **pipes) as client:
            client.stdin.write(f"{token}\n")
            client.stdin.flush()
            time.sleep(3)
            try:
                with theft_of_time(load):
                    yield load
                    time.sleep(2)
            finally:
                client.stdin.close()
                vars(load).update(json.loads(client.stdout.read()))

    return loaded


def wait_until_the_computer_is_ours(most=120):
    """Wait for a second of which nothing is stolen, but not for more than so many."""
    for _ in range(most):
        before = processor_time()
        time.sleep(1)
        if share_stolen(before, processor_time()) <= LARGEST_SHARE_STOLEN:
            return


@contextmanager
def theft_of_time(load):
    """Write into a Load what was stolen meanwhile."""
    seconds, ended = [processor_time()], threading.Event()

    def watch():
        while not ended.wait(1):
            seconds.append(processor_time())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()
        load.stolen = share_stolen(seconds[0], processor_time())
        load.stolen_at_worst = max(map(share_stolen, seconds, seconds[1:]), default=0)


def processor_time():
    """Return what a hypervisor has taken away, and all that has passed: ticks of all CPUs."""
    _, *fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    ticks = [int(field) for field in fields[:8]]  # what follows is part of these
    return ticks[-1], sum(ticks)


def share_stolen(before, after):
    return (after[0] - before[0]) / (after[1] - before[1])


@pytest.fixture
def a_release(host):
    """Returns a function that commits a change of a file, new or not. Returns the commit.

    Afterwards the checkout is as it was.
    """
    begun_at = host.output("git", "rev-parse", "HEAD")

    def changed(file, old, new):
        path = host.root / "root/quartet" / file
        text = path.read_text() if old else ""
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new, 1))
        return host.commit(f"change {file}")

    yield changed
    host.run("git", "reset", "--quiet", "--hard", begun_at)


@pytest.fixture
def release_of(host):
    """Returns a function that tells which release of a service `current` leads to."""

    def release(service):
        return host.output("readlink", f"/opt/www/{service}/current").removeprefix("releases/")

    return release


@pytest.fixture
def damaged(host):
    """Returns a function that changes bytes in the middle of a file, until the test has ended."""
    files = []

    def damage(file):
        path = host.root / file.lstrip("/")
        whole = path.read_bytes()
        files.append((path, whole))
        middle = len(whole) // 2
        path.write_bytes(
            whole[:middle]
            + bytes(b ^ 255 for b in whole[middle : middle + 64])
            + whole[middle + 64 :]
        )

    yield damage
    for path, whole in files:
        path.write_bytes(whole)
