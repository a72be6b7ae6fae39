"""PNG: https://www.w3.org/TR/png-3/#5DataRep."""

import zlib
from itertools import count
from os import SEEK_CUR
from struct import unpack
from zlib import crc32, decompressobj

from chassis.images.reading import NotAnImage, exactly, parts, pieces

START = b"\x89PNG\r\n\x1a\n"

_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
_FRAMES = frozenset({b"fcTL", b"fdAT"})
_END = b"\0\0\0\0IEND\xaeB`\x82"
_FILTERS = 5
# of interlaced images: the first column and row of each pass, and the steps to the next ones
_WHOLE = [(0, 0, 1, 1)]
_ADAM7 = [
    *[(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)],
    (0, 1, 1, 2),
]


def walk(file, check_size):
    """Read a PNG up to its end, and leave the file there. Raises NotAnImage.

    Damage behind the pixels costs what is there (a comment, further frames), and not the image: the
    file is ended before it. check_size: is called with width and height, and raises what is too
    large.
    """
    file.seek(len(START))
    rows, turns, is_behind = _header(file, check_size), parts(), False
    numbers = count()  # of the parts of an animation
    while not (is_behind and rows.are_complete):
        next(turns)
        kind = _part(file, rows, numbers)
        if kind != b"IDAT" and is_behind or kind == b"IEND":
            raise NotAnImage("Its data end before its last row")
        is_behind = kind == b"IDAT"
    _walk_behind(file, rows, numbers, turns)


def _walk_behind(file, rows, numbers, turns):
    end = file.tell()
    try:
        for _ in turns:
            kind = _part(file, rows, numbers)
            if kind == b"IEND":
                return
            end = file.tell()
    except NotAnImage:
        file.seek(end)
        file.write(_END)


def _part(file, rows, numbers):
    """Read a part. Returns its type. Raises NotAnImage if it is damaged or cannot be there."""
    length, kind = unpack(">I4s", exactly(file, 8))
    is_critical = not kind[0] & 0x20
    if not kind.isalpha() or kind == b"IHDR" or (is_critical and kind not in _CRITICAL):
        raise NotAnImage(f"A part {kind!r} cannot be there")
    if kind in _FRAMES:
        start = exactly(file, min(length, 26))
        file.seek(-len(start), SEEK_CUR)
        _check_frame(start, kind, rows, next(numbers))
    _read(file, kind, length, rows.take if kind == b"IDAT" else _pass_over)
    return kind


def _check_frame(start, kind, rows, number):
    """Check a part of an animation, as decoders do before they show anything."""
    size = 26 if kind == b"fcTL" else 4
    if len(start) < size or unpack(">I", start[:4]) != (number,):
        raise NotAnImage("A frame of the animation is missing")
    if kind == b"fcTL":
        width, height, x, y = unpack(">4I", start[4:20])
        is_inside = x + width <= rows.width and y + height <= rows.height
        if not is_inside or start[24] > 2 or start[25] > 1:
            raise NotAnImage("A frame of the animation is damaged")


def _header(file, check_size):
    length, kind = unpack(">I4s", exactly(file, 8))
    if kind != b"IHDR" or length != 13:
        raise NotAnImage("A PNG begins with its header")
    found = []
    _read(file, kind, length, found.append)
    width, height, depth, colours, *methods = unpack(">IIBBBBB", found[0])
    if depth not in _DEPTHS.get(colours, ()) or methods not in ([0, 0, 0], [0, 0, 1]):
        raise NotAnImage("There is no PNG with such a header")
    check_size(width, height)
    return _Rows(width, height, depth * _CHANNELS[colours], _ADAM7 if methods[2] else _WHOLE)


def _read(file, kind, length, take):
    """Give the content of a part to `take`, piece by piece, and check its sum."""
    computed = crc32(kind)
    for piece in pieces(file, length):
        computed = crc32(piece, computed)
        take(piece)
    if unpack(">I", exactly(file, 4)) != (computed,):
        raise NotAnImage(f"A part {kind!r} is damaged")


def _pass_over(_piece):
    pass


class _Rows:
    """The rows of an image, which are inflated and counted and then forgotten.

    A row begins with the number of its filter. What follows the last row is passed over.
    """

    def __init__(self, width, height, bits, passes):
        self.width, self.height = width, height
        self._inflating = decompressobj()
        self._ahead = []  # of each pass: the bytes of a row, and of all rows
        for column, row, column_step, row_step in passes:
            columns, rows = -(-(width - column) // column_step), -(-(height - row) // row_step)
            if columns > 0 and rows > 0:
                size = 1 + -(-columns * bits // 8)
                self._ahead.append((size, size * rows))
        self._ahead.reverse()
        self._missing = sum(size for _, size in self._ahead)
        self._position = 0  # in the present pass

    def take(self, piece):
        while piece and self._missing:
            try:
                inflated = self._inflating.decompress(piece, min(self._missing, 1 << 20))
            except zlib.error as error:
                raise NotAnImage("Its compressed data are damaged") from error
            if self._inflating.eof and not inflated:
                return
            piece = self._inflating.unconsumed_tail
            self._missing -= len(inflated)
            self._check_filters(inflated)

    @property
    def are_complete(self):
        return not self._missing

    def _check_filters(self, inflated):
        while inflated:
            row, end = self._ahead[-1]
            part = inflated[: end - self._position]
            if max(part[-self._position % row :: row], default=0) >= _FILTERS:
                raise NotAnImage("A row has an unknown filter")
            inflated = inflated[len(part) :]
            self._position += len(part)
            if self._position == end:
                self._ahead.pop()
                self._position = 0
