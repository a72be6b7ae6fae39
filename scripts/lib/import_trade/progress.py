"""Shows how far a stage has come: a bar on a terminal, a plain line now and then elsewhere."""

import shutil
import sys
import threading
import time
from types import TracebackType

from printable import printable

BAR_EVERY_SECONDS = 0.1
LINE_EVERY_SECONDS = 5
TROUBLE_EVERY_SECONDS = 5
LABEL_WIDTH = 24


class Progress:
    """One stage of known length. Any thread may call `step` and `trouble`."""

    def __init__(self, label: str, total: int, out=None):
        self.label = label
        self.total = total
        self.done = 0
        self.new: int | None = None
        """How many of the done were not there before; None where that means nothing."""
        self.seconds = 0.0
        self._out = out or sys.stdout
        self._bar = self._out.isatty()
        self._every = BAR_EVERY_SECONDS if self._bar else LINE_EVERY_SECONDS
        self._lock = threading.Lock()

    def __enter__(self) -> "Progress":
        self._began = time.monotonic()
        self._shown = self._began
        if self._bar:
            self._draw()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self.seconds = time.monotonic() - self._began
        if self._bar:
            self._out.write("\r\x1b[K")
        if kind is None:
            self._out.write(self.summary() + "\n")
        self._out.flush()

    @property
    def a_second(self) -> float:
        return self.done / self.seconds if self.seconds else 0.0

    def summary(self) -> str:
        news = "" if self.new is None else f", {self.new:,} new" if self.new else ", none new"
        return (
            f"{self.label:<{LABEL_WIDTH}} {self.done:>6,} in {self.seconds:6.1f} s"
            f" {self.a_second:8.1f} a second{news}"
        )

    def step(self, *, is_new: bool | None = None) -> None:
        with self._lock:
            self.done += 1
            if is_new is not None:
                self.new = (self.new or 0) + is_new
            now = time.monotonic()
            if now - self._shown >= self._every:
                self._shown = now
                self._draw()

    def _draw(self) -> None:
        if not self._bar:
            self._out.write(f"{self.label:<{LABEL_WIDTH}} {self.done:>6,} of {self.total:,}\n")
        else:
            self._out.write("\r" + self._bar_line() + "\x1b[K")
        self._out.flush()

    def _bar_line(self) -> str:
        seconds = max(time.monotonic() - self._began, 0.001)
        figures = f" {self.done:>6,} of {self.total:,}  {self.done / seconds:.0f} a second"
        width = shutil.get_terminal_size().columns - LABEL_WIDTH - len(figures) - 4
        if width < 10:
            return f"{self.label}{figures}"
        full = width * self.done // max(self.total, 1)
        return f"{self.label:<{LABEL_WIDTH}} [{'#' * full}{'.' * (width - full)}]{figures}"


class Notices:
    """Says on stderr that a service keeps the import waiting, but not for every single call."""

    def __init__(self):
        self._next = 0.0
        self._lock = threading.Lock()

    def __call__(self, text: str) -> None:
        with self._lock:
            now = time.monotonic()
            if now < self._next:
                return
            self._next = now + TROUBLE_EVERY_SECONDS
        text = printable(text)
        sys.stderr.write(f"\n{text}\n" if sys.stdout.isatty() else f"{text}\n")
