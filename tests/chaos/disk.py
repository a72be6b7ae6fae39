"""A disk of its own under the PostgreSQL of a stack, which can be full for a while.

    with SmallDisk(stack) as disk:
        disk.fill()      # not a byte more fits
        disk.free()

It is a tmpfs, so it needs root. As on a file system that copies on write, nothing of PostgreSQL's
log (WAL) is laid out beforehand: a full disk meets it with the next commit, not some 16 MB later.
"""

import os
import shutil
import subprocess
from contextlib import suppress

MOST_TRIES = 50
MEBIBYTES = 2048  # at most; it takes only the memory of what is in it
_SETTINGS = """
wal_init_zero = off
wal_recycle = off
min_wal_size = 32MB
max_wal_size = 64MB
"""


class SmallDisk:
    """A context manager: within it, PostgreSQL's data are on the disk. `missing`: why they are not.

    Where there may be no mounts, all stays as it was, and `missing` is a reason, else None.
    """

    def __init__(self, stack):
        self._stack = stack
        self._data = stack.var / "postgres"
        self.missing = None if os.geteuid() == 0 else "only root may mount a small disk"

    def __enter__(self):
        if self.missing is None:
            self._stack.function("stop_postgres")
            self._move_data()
            self._stack.function("start_postgres")
        return self

    def __exit__(self, *_):
        if self.missing is None:
            self._stack.function("stop_postgres", check=False)
            self._umount()

    def fill(self, log_has_room=False):
        """Shrink the disk to what it holds. log_has_room: as if PostgreSQL's log had a disk too."""
        if log_has_room:
            for segment in (self._data / "pg_wal").glob("0*"):
                with suppress(FileNotFoundError):  # no longer needed, and removed
                    _lay_out(segment)
        for _ in range(MOST_TRIES):
            with suppress(subprocess.CalledProcessError):  # it holds more by now
                used = os.statvfs(self._data)
                self._mount("-o", f"remount,size={(used.f_blocks - used.f_bfree) * used.f_frsize}")
                return
        raise TimeoutError("the disk grows faster than it can be shrunk")

    def free(self):
        """Give it back the room that it had."""
        self._mount("-o", f"remount,size={MEBIBYTES}m")

    def _move_data(self):
        old = self._data.with_name("postgres.moved")
        self._data.rename(old)
        self._data.mkdir()
        try:
            owner = f"mode=0700,uid={old.stat().st_uid},gid={old.stat().st_gid}"
            self._mount("-t", "tmpfs", "-o", f"size={MEBIBYTES}m,{owner}", "quartet-chaos")
        except subprocess.CalledProcessError as error:
            self.missing = f"no mount is allowed here: {error.stderr.strip()}"
            self._data.rmdir()
            old.rename(self._data)
            return
        subprocess.run(["cp", "-a", "--sparse=always", f"{old}/.", self._data], check=True)
        shutil.rmtree(old)
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(_SETTINGS)

    def _mount(self, *options):
        command = ["mount", *options, str(self._data)]
        subprocess.run(command, check=True, capture_output=True, text=True)

    def _umount(self):
        with suppress(subprocess.CalledProcessError):
            subprocess.run(["umount", "--lazy", self._data], check=True, capture_output=True)


def _lay_out(file):
    """Let a file take all its room now, without a change to what is in it."""
    with file.open("r+b") as opened:
        os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
