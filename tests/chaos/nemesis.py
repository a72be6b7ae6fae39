"""The nemesis: breaks parts of a running stack by a schedule, and mends them.

    faults = schedule(seed=7, seconds=60)     # the same seed, the same schedule
    Nemesis(stack, proxy).run(faults, started)

Two faults at most are at work at once: one of the network, one of anything else.
"""

import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chassis import crash
from tests.chaos import proxy
from tests.chaos.world import count_under_way
from tests.processes import children

SERVICES = ("microservice1", "microservice2", "microservice3", "microservice4")
POSTGRES = "postgres"

# For each kind of fault of a process: how often it comes (a weight), and how long it lasts.
PROCESS_FAULTS = {
    "kill_worker": (4, (0.1, 3.0)),
    "freeze_worker": (2, (2.0, 11.0)),  # longer than a lease
    "kill_uwsgi_worker": (4, (0.0, 0.5)),
    "freeze_uwsgi_worker": (1, (1.0, 6.0)),
    "kill_uwsgi_master": (2, (0.1, 3.0)),
    "stop_postgres": (2, (0.5, 5.0)),
    "crash_postgres": (2, (0.0, 0.5)),
    "freeze_postgres": (2, (0.5, 7.0)),
    "fill_disk_of_postgres": (1, (0.5, 6.0)),  # its log finds no room: it panics
    "fill_data_disk_of_postgres": (1, (0.5, 6.0)),  # its log does: what needs more room is refused
    "step_clock": (3, (2.0, 8.0)),
    **{f"crash_{point}": (1, (2.0, 6.0)) for point in crash.POINTS},
}
DISK_FAULTS = ("fill_disk_of_postgres", "fill_data_disk_of_postgres")
CLOCK_FAULTS = ("step_clock",)
CRASH_SHARE = 0.2  # of the times at which a process comes to its crash point
_TARGETS = {"crash_answered": ("microservice3",), "crash_mailed": ("microservice4",)}
CLOCK_STEPS = (2, 15, 120, 3600)  # seconds, forward or back
NETWORK_SECONDS = (2.0, 8.0)
RECOVERY_SECONDS = 60
PAUSE_SECONDS = (0.5, 4.0)


@dataclass(frozen=True)
class Fault:
    """at: seconds after the start. target: a service, or postgres. share: of calls (network).

    step: by how many seconds a clock is fast, or slow if it is negative.
    """

    at: float
    kind: str
    target: str
    seconds: float
    share: float = 0.0
    step: int = 0

    @property
    def is_of_the_network(self):
        return self.kind in proxy.KINDS


def schedule(seed, seconds):
    """Return the faults of a run in the order of time. None is still at work at its end."""
    chance = random.Random(f"nemesis {seed}")
    faults = [*_lane(chance, seconds, _process_fault), *_lane(chance, seconds, _network_fault)]
    return sorted(faults, key=lambda fault: fault.at)


def _lane(chance, seconds, make):
    at = chance.uniform(*PAUSE_SECONDS)
    while True:
        fault = make(chance, at)
        if at + fault.seconds > seconds:
            return
        yield fault
        at = round(at + fault.seconds + chance.uniform(*PAUSE_SECONDS), 2)


def _process_fault(chance, at):
    weights = [weight for weight, _ in PROCESS_FAULTS.values()]
    [kind] = chance.choices(list(PROCESS_FAULTS), weights)
    target = POSTGRES if kind.endswith(POSTGRES) else chance.choice(_TARGETS.get(kind, SERVICES))
    return Fault(
        at=round(at, 2),
        kind=kind,
        target=target,
        seconds=round(chance.uniform(*PROCESS_FAULTS[kind][1]), 2),
        step=chance.choice((1, -1)) * chance.choice(CLOCK_STEPS) if kind == "step_clock" else 0,
    )


def _network_fault(chance, at):
    kind = chance.choice([kind for kind in proxy.KINDS if kind])
    return Fault(
        at=round(at, 2),
        kind=kind,
        target=chance.choice(("microservice1", "microservice2", "microservice2", "microservice4")),
        seconds=round(chance.uniform(*NETWORK_SECONDS), 2),
        share=chance.choice((0.3, 0.6, 1.0)),
    )


class Nemesis:
    """Injects faults into a stack whose calls go through a proxy, with a disk and clocks to break.

    `injected` counts faults by kind, `worker_deaths` those of outbox workers by service. `left_out`
    are kinds of which this machine is not capable, {kind: reason}; the schedule stays the same.
    `troubles` tells what could not be done as scheduled: then the run proves nothing.
    """

    def __init__(self, stack, network, disk, clocks):
        self._stack = stack
        self._network = network
        self._disk = disk
        self._clocks = clocks
        self.left_out = {
            kind: part.missing
            for kinds, part in ((DISK_FAULTS, disk), (CLOCK_FAULTS, clocks))
            for kind in kinds
            if part.missing
        }
        self._run = (stack.var / "run").resolve()
        self._frozen = []
        self.injected = Counter()
        self.worker_deaths = Counter()
        self.told = []  # (seconds after the start, Fault)
        self.troubles = []

    def run(self, faults, started):
        """Work the schedule off. started: time.monotonic() of its beginning."""
        lanes = [
            [fault for fault in faults if fault.is_of_the_network],
            [fault for fault in faults if not fault.is_of_the_network],
        ]
        threads = [threading.Thread(target=self._work, args=(lane, started)) for lane in lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def heal(self):
        """Mend all that may be broken still. Returns when every process is there again."""
        for service in SERVICES:
            self._network.mend_calls(service)
        self._thaw()
        if not self._disk.missing:
            self._disk.free()
        self._bring_postgres_back()
        for service in SERVICES:
            if not self._clocks.missing:
                self._clocks.step(service, 0)
            self._keep_alive(service, 0)

    def _work(self, faults, started):
        for fault in faults:
            time.sleep(max(0.0, started + fault.at - time.monotonic()))
            if fault.kind in self.left_out:
                continue
            self.injected[fault.kind] += 1
            self.told.append((round(time.monotonic() - started, 2), fault))
            try:
                self._inject(fault)
            except Exception as trouble:  # whatever it is, it belongs into the report
                self.troubles.append(f"{fault}: {trouble} {getattr(trouble, 'stderr', '')}")

    def _inject(self, fault):
        if fault.is_of_the_network:
            self._network.break_calls(fault.target, fault.kind, fault.share)
            time.sleep(fault.seconds)
            self._network.mend_calls(fault.target)
        elif fault.kind.removeprefix("crash_") in crash.POINTS:
            self._crash_at_a_point(fault)
        else:
            getattr(self, f"_{fault.kind}")(fault)

    # ---- processes of a service

    def _kill_worker(self, fault):
        os.kill(self._pid(f"{fault.target}.worker"), signal.SIGKILL)
        time.sleep(fault.seconds)
        self._start_worker(fault.target)

    def _start_worker(self, service):
        self.worker_deaths[service] += 1
        self._stack.function("start_worker", service)

    def _freeze_worker(self, fault):
        self._freeze([self._pid(f"{fault.target}.worker")], fault.seconds)

    def _kill_uwsgi_worker(self, fault):
        os.kill(self._one_of(children(self._pid(fault.target)), fault), signal.SIGKILL)
        time.sleep(fault.seconds)

    def _freeze_uwsgi_worker(self, fault):
        self._freeze([self._one_of(children(self._pid(fault.target)), fault)], fault.seconds)

    def _kill_uwsgi_master(self, fault):
        os.kill(self._pid(fault.target), signal.SIGKILL)
        time.sleep(fault.seconds)
        self._stack.function("start_uwsgi", fault.target)

    def _crash_at_a_point(self, fault):
        """Let the service's processes die at a point of their code, and come back, for a while."""
        settings = self._stack.var / f"env/{fault.target}.env"
        sound = settings.read_text()
        point = fault.kind.removeprefix("crash_")
        try:
            settings.write_text(f"{sound}CRASH_POINT={point}\nCRASH_SHARE={CRASH_SHARE}\n")
            self._kill_all(fault.target)
            self._keep_alive(fault.target, fault.seconds)
        finally:
            settings.write_text(sound)
        self._kill_all(fault.target)
        self._keep_alive(fault.target, 0)

    def _kill_all(self, service):
        """Kill the outbox worker and uWSGI, the master first: it would start its workers again."""
        master = self._pid(service)
        workers = children(master) if master else []
        for pid in (self._pid(f"{service}.worker"), master, *workers):
            with suppress(ProcessLookupError, TypeError):
                os.kill(pid, signal.SIGKILL)
        while self._pid(service) or self._pid(f"{service}.worker"):
            time.sleep(0.01)

    def _keep_alive(self, service, seconds):
        """Start what is dead of a service, again and again for so long, at least once."""
        end = time.monotonic() + seconds
        while True:
            if not self._pid(service):
                self._stack.function("start_uwsgi", service)
            if not self._pid(f"{service}.worker"):
                self._start_worker(service)
            if time.monotonic() > end:
                return
            time.sleep(0.2)

    def _step_clock(self, fault):
        self._clocks.step(fault.target, fault.step)
        time.sleep(fault.seconds)
        self._clocks.step(fault.target, 0)

    # ---- the database

    def _stop_postgres(self, fault):
        self._stack.function("stop_postgres")
        time.sleep(fault.seconds)
        self._stack.function("start_postgres")

    def _crash_postgres(self, fault):
        """kill -9 of a backend: PostgreSQL ends all the others, and recovers from its log."""
        backends = children(self._pid("postmaster"))
        os.kill(self._one_of(backends, fault), signal.SIGKILL)
        time.sleep(fault.seconds)

    def _freeze_postgres(self, fault):
        postmaster = self._pid("postmaster")
        self._freeze([postmaster, *children(postmaster)], fault.seconds)

    def _fill_disk_of_postgres(self, fault):
        """It panics as its log cannot be written, and may end as it cannot recover from it."""
        self._fill_disk(fault, log_has_room=False)

    def _fill_data_disk_of_postgres(self, fault):
        self._fill_disk(fault, log_has_room=True)

    def _fill_disk(self, fault, log_has_room):
        self._disk.fill(log_has_room)
        time.sleep(fault.seconds)
        self._disk.free()
        self._bring_postgres_back()

    def _bring_postgres_back(self):
        """Start it if it has ended; one that recovers just now may still do so, or not."""
        end = time.monotonic() + RECOVERY_SECONDS
        while count_under_way(self._stack) == (None, None):
            if time.monotonic() > end:
                raise TimeoutError(f"PostgreSQL is not back after {RECOVERY_SECONDS} s")
            if not self._pid("postmaster"):
                self._stack.function("start_postgres", check=False)
            time.sleep(0.1)

    # ---- small things

    def _freeze(self, pids, seconds):
        self._frozen = pids
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        self._thaw()

    def _thaw(self):
        for pid in self._frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._frozen = []

    def _one_of(self, pids, fault):
        """The same of the same number of processes for the same fault."""
        return sorted(pids)[int(fault.at * 100) % len(pids)]

    def _pid(self, name):
        """The pid of a process of the stack that lives, or None."""
        folder = self._stack.var / "postgres" if name == "postmaster" else self._run
        try:
            pid = int((folder / f"{name}.pid").read_text().split()[0])
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
        except (OSError, ValueError, IndexError):
            return None
        return None if state == "Z" else pid
