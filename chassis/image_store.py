"""A folder of images that Nginx serves: one for each number, there whole or not at all.

    with store.receive(stream) as image, transaction() as tx:
        database.lock_product(tx, 7)
        ...
        store.put(7, image, product.version)

They are called `7.png`, `7.jpg` or `7.webp`. What is received lies in `incoming/` until a rename(2)
puts it in its place; what is not put is removed.
"""

import logging
import os
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from chassis import context, images
from chassis.errors import Unavailable

log = logging.getLogger(__name__)

RECEIVE_SECONDS = 25.0  # from Nginx, which has all of it: this is a matter of disks
LEFT_OVER_SECONDS = 3600.0  # no request is so old

_PIECE_BYTES = 256 * 1024
_FIRST_MOMENT = 1_000_000_000  # in 2001; no product has been edited so often


class StorageFailed(Unavailable):
    title = "The image cannot be stored at the moment"
    advice = "Wait for as many seconds as `Retry-After` says, then send the image again."


@dataclass(frozen=True, slots=True)
class Received:
    """An image on disk that is not in its place yet."""

    path: Path
    kind: images.Kind


class ImageStore:
    """folder: a Path, made with `incoming` in it when it is needed."""

    def __init__(self, folder):
        self._folder = folder
        self._incoming = folder / "incoming"

    @contextmanager
    def receive(self, stream):
        """Write what a stream gives to disk, piece by piece, and yield it as a Received.

        The time that it takes is not the request's, which begins when it is there. Raises
        images.NotAnImage, and StorageFailed if the disk is full or takes RECEIVE_SECONDS.
        """
        with _storage_may_fail():
            self._incoming.mkdir(parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(dir=self._incoming)
        path = Path(name)
        try:
            with os.fdopen(number, "w+b") as file, context.untimed():
                _copy(stream, file)
                kind = images.recognise(file)
                _flush(file)
            yield Received(path, kind)
        finally:
            path.unlink(missing_ok=True)

    def put(self, number, image, version):
        """Let a Received take the place of the image that is there. Returns its tag.

        For one at a time, under a lock of the row, and last of all before COMMIT. version: a whole
        number that grows with each image. It becomes the file's time of change, of which, with the
        size, Nginx makes the tag. Raises StorageFailed.
        """
        target = self._folder / f"{number}.{image.kind.suffix}"
        with _storage_may_fail():
            time_of_change = self._free_version(number, version)
            os.utime(image.path, (time_of_change, time_of_change))
            image.path.chmod(0o644)  # Nginx may be another user
            image.path.replace(target)
            for path in self._paths(number):
                if path != target:
                    path.unlink(missing_ok=True)
            _sync(self._folder)
        return _tag(target.stat())

    def remove(self, number):
        """Remove an image, if there is one. Raises StorageFailed."""
        with _storage_may_fail():
            for path in self._paths(number):
                path.unlink(missing_ok=True)

    def tag(self, number):
        """Return the ETag that Nginx gives to an image, None if there is none."""
        return next(map(_tag, self._stats(number)), None)

    def remove_left_overs(self):
        """Remove what has been incoming for LEFT_OVER_SECONDS: its process has died."""
        for path in self._incoming.glob("*"):
            if _is_old(path):
                path.unlink(missing_ok=True)

    def numbers(self):
        """Return the numbers of all images that have lain here for LEFT_OVER_SECONDS, as a list."""
        stems = {path.stem for path in self._folder.glob("*.*") if _is_old(path)}
        return [int(stem) for stem in stems if stem.isdecimal()]

    def _free_version(self, number, version):
        """Return the version, or a later one if the present image has it: its COMMIT has failed.

        Files of earlier releases have a moment instead, which is no version.
        """
        taken = [int(stat.st_mtime) for stat in self._stats(number)]
        return max([version, *(time + 1 for time in taken if time < _FIRST_MOMENT)])

    def _stats(self, number):
        for path in self._paths(number):
            with suppress(FileNotFoundError):
                yield path.stat()

    def _paths(self, number):
        return [self._folder / f"{number}.{kind.suffix}" for kind in images.KINDS]


def _copy(stream, file):
    end = time.monotonic() + RECEIVE_SECONDS
    with _storage_may_fail():
        while piece := stream.read(_PIECE_BYTES):
            if time.monotonic() > end:
                raise StorageFailed("The disk is too slow at the moment")
            file.write(piece)


def _flush(file):
    with _storage_may_fail():
        file.flush()
        os.fsync(file.fileno())


def _sync(folder):
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _tag(stat):
    """As ngx_http_set_etag makes it."""
    return f'"{int(stat.st_mtime):x}-{stat.st_size:x}"'


def _is_old(path):
    try:
        return time.time() - path.stat().st_ctime > LEFT_OVER_SECONDS
    except FileNotFoundError:
        return False


@contextmanager
def _storage_may_fail():
    try:
        yield
    except OSError as error:
        log.error("an image was not stored", extra={"reason": str(error)})
        raise StorageFailed from error
