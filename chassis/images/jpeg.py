"""JPEG: https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B, as libjpeg reads it."""

import re
from dataclasses import dataclass, field
from functools import partial
from os import SEEK_CUR
from struct import unpack

from chassis.images import reading
from chassis.images.reading import NotAnImage, ends_too_early, exactly, parts

_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive
_PROGRESSIVE, _HUFFMAN, _END, _SCAN, _QUANTIZATION, _RESTART = 0xC2, 0xC4, 0xD9, 0xDA, 0xDB, 0xDD
_ALONE = frozenset(range(0xD0, 0xD8))  # restart markers, which have no length
_PASSED_OVER = frozenset({0xDC, 0xFE, *range(0xE0, 0xF0)})  # DNL, comment, applications'
_BEHIND_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # FF00 stands for FF
# (class, number) of the tables that decoders know, because frames of Motion JPEG lack them
_MOTION_JPEG = frozenset({(0, 0), (0, 1), (1, 0), (1, 1)})
_LARGEST_SIDE = 65_500


def walk(file, check_size):
    """Read a JPEG up to the end of its first picture, and leave the file there. Raises NotAnImage.

    check_size: is called with width and height, and raises what is too large.
    """
    file.seek(2)
    picture, turns = _Picture(check_size), parts()
    while True:
        next(turns)
        marker = _next_marker(file)
        if marker == _END:
            _require(picture.has_scan, "There is no picture in it")
            return
        if marker in _ALONE:
            continue
        (length,) = unpack(">H", exactly(file, 2))
        picture.take(marker, exactly(file, length - 2))
        if marker == _SCAN:
            _skip_data(file)


def _next_marker(file):
    """Return the next marker. Bytes before it are passed over, and so are fill bytes."""
    byte = exactly(file, 1)
    while True:
        while byte != b"\xff":
            byte = exactly(file, 1)
        while byte == b"\xff":
            byte = exactly(file, 1)
        if byte != b"\0":
            return byte[0]


def _skip_data(file):
    """Go to the marker behind compressed data."""
    before = b""
    for piece in iter(partial(file.read, reading.PIECE_BYTES), b""):
        data = before + piece
        if found := _BEHIND_SCAN.search(data):
            file.seek(found.start() - len(data), SEEK_CUR)
            return
        before = b"\xff" if data.endswith(b"\xff") else b""
    raise ends_too_early()


@dataclass(frozen=True, slots=True)
class _Component:
    horizontal: int
    vertical: int
    quantization: int


@dataclass(slots=True)
class _Picture:
    """What the segments have said so far: enough to know that a decoder has what it needs."""

    check_size: object
    is_progressive: bool = False
    components: dict = field(default_factory=dict)  # by id
    has_scan: bool = False
    is_complete: bool = False  # by one scan of all components
    quantization: set = field(default_factory=set)  # numbers of tables
    huffman: dict = field(default_factory=dict)  # (class, number): whether it is sound

    def take(self, marker, segment):
        if marker in _FRAMES:
            self._take_frame(marker, segment)
        elif marker == _QUANTIZATION:
            self._take_quantization(segment)
        elif marker == _HUFFMAN:
            self._take_huffman(segment)
        elif marker == _SCAN:
            self._take_scan(segment)
        elif marker == _RESTART:
            _require(len(segment) == 2, "A restart interval has two bytes")
        else:
            _require(marker in _PASSED_OVER, f"A segment {marker:#x} cannot be there")

    def _take_frame(self, marker, segment):
        _require(not self.components, "It has two frames")
        _require(len(segment) >= 6, "Its size is missing")
        precision, height, width, count = unpack(">BHHB", segment[:6])
        _require(
            precision == 8 and count in (1, 3, 4) and len(segment) == 6 + 3 * count,
            "There is no JPEG of such a kind on the web",
        )
        self.check_size(width, height)
        _require(max(width, height) <= _LARGEST_SIDE, f"A side may have {_LARGEST_SIDE} pixels")
        for at in range(6, len(segment), 3):
            number, sampling, table = segment[at : at + 3]
            self.components[number] = _Component(sampling >> 4, sampling & 15, table)
        _require(len(self.components) == count, "Two components have one number")
        self._check_sampling()
        self.is_progressive = marker == _PROGRESSIVE

    def _check_sampling(self):
        for side in ("horizontal", "vertical"):
            factors = [getattr(component, side) for component in self.components.values()]
            _require(
                all(1 <= one <= 4 and max(factors) % one == 0 for one in factors),
                "No decoder knows such a sampling",
            )

    def _take_quantization(self, segment):
        while segment:
            size = 129 if segment[0] >> 4 else 65
            _require(segment[0] & 15 <= 3 and len(segment) >= size, "A table is damaged")
            self.quantization.add(segment[0] & 15)
            segment = segment[size:]

    def _take_huffman(self, segment):
        while segment:
            kind, number = segment[0] >> 4, segment[0] & 15
            counts = segment[1:17]
            end = 17 + sum(counts)
            _require(
                kind <= 1 and number <= 3 and sum(counts) <= 256 and len(segment) >= end,
                "A table is damaged",
            )
            is_sound = _has_codes(counts) and (kind or max(segment[17:end], default=0) <= 15)
            self.huffman[kind, number] = is_sound
            segment = segment[end:]

    def _take_scan(self, segment):
        _require(self.components, "Its data come before its size")
        count = segment[0] if segment else 0
        _require(1 <= count <= 4 and len(segment) == 4 + 2 * count, "A scan has no such header")
        tables = {segment[at]: segment[at + 1] for at in range(1, 1 + 2 * count, 2)}
        _require(
            len(tables) == count and tables.keys() <= self.components.keys(),
            "A scan has components that the frame has not",
        )
        chosen = [self.components[number] for number in tables]
        _require(
            all(component.quantization in self.quantization for component in chosen),
            "A quantization table is missing",
        )
        blocks = sum(component.horizontal * component.vertical for component in chosen)
        _require(count == 1 or blocks <= 10, "A scan has too many blocks in a unit")
        first, last, approximation = segment[-3:]
        if self.is_progressive:
            _check_progression(count, first, last, approximation)
        for needed in self._huffman_needed(tables.values(), first, approximation):
            is_known = needed in _MOTION_JPEG and not self.is_progressive
            _require(self.huffman.get(needed, is_known), "A Huffman table is missing or damaged")
        _require(self.is_progressive or not self.is_complete, "It has two pictures in one frame")
        self.is_complete = not self.has_scan and count == len(self.components)
        self.has_scan = True

    def _huffman_needed(self, tables, first, approximation):
        """Yield (class, number) of the tables by which a scan is decoded."""
        for numbers in tables:
            if not self.is_progressive or (first == 0 and approximation >> 4 == 0):
                yield 0, numbers >> 4
            if not self.is_progressive or first > 0:
                yield 1, numbers & 15


def _check_progression(count, first, last, approximation):
    high, low = approximation >> 4, approximation & 15
    is_band = last == 0 if first == 0 else first <= last <= 63 and count == 1
    _require(is_band and low <= 13 and (high == 0 or low == high - 1), "A scan is out of place")


def _has_codes(counts):
    """Whether there are codes of these lengths, so many of 1 to 16 bits: none is all ones."""
    code = 0
    for bits, count in enumerate(counts, 1):
        code = 2 * code + count
        if count and code >= 1 << bits:
            return False
    return True


def _require(condition, otherwise):
    if not condition:
        raise NotAnImage(otherwise)
