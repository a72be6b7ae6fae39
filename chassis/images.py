"""PNG, JPEG and WebP, known by their content.

A file is walked through from its first byte to its last, part by part, and nothing is decoded:
there is no decoder to attack, and no bomb can go off. Refused is what ends too early, goes on after
its end (it may be a script as well, or an archive), or would fill a viewer's memory.
"""

import os
import re
from dataclasses import dataclass
from functools import partial
from itertools import islice, repeat
from struct import unpack
from zlib import crc32

from chassis.errors import Problem

MOST_PIXELS = 100_000_000  # 400 MB once a viewer has decoded it
MOST_PARTS = 100_000  # for 75 MB, encoders make some 10,000

_PIECE_BYTES = 256 * 1024

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_PNG_DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}

_JPEG_END, _JPEG_SCAN = 0xD9, 0xDA
_JPEG_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive
_JPEG_SEGMENTS = frozenset({0xC4, 0xDA, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE}) | _JPEG_FRAMES
_JPEG_BEHIND_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # FF00 stands for FF

_WEBP_PARTS = frozenset(
    {b"VP8X", b"ICCP", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L", b"EXIF", b"XMP "}
)


@dataclass(frozen=True, slots=True)
class Kind:
    """suffix: of a file's name, without the dot. start: what its first bytes are, a pattern."""

    content_type: str
    suffix: str
    start: re.Pattern


PNG = Kind("image/png", "png", re.compile(re.escape(_PNG_START)))
JPEG = Kind("image/jpeg", "jpg", re.compile(rb"\xff\xd8\xff"))
WEBP = Kind("image/webp", "webp", re.compile(rb"RIFF....WEBP", re.DOTALL))
KINDS = (PNG, JPEG, WEBP)


class NotAnImage(Problem):
    status, code, title = 422, "not_an_image", "This is no image that can be taken"
    advice = "Send a whole PNG, JPEG or WebP. `detail` says what is wrong with this one."


def recognise(file):
    """Return the Kind of image that a file holds, whole and nothing else. Raises NotAnImage.

    file: binary, can be read and seeked. It is read through once, in pieces.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(12)
    for kind, walk in _WALKS.items():
        if kind.start.match(start):
            pixels = walk(file, size)
            if file.tell() != size:
                raise NotAnImage(f"Something follows the end of the image, at byte {file.tell()}")
            if not 1 <= pixels <= MOST_PIXELS:
                raise NotAnImage(f"It has {pixels} pixels; 1 to {MOST_PIXELS} can be taken")
            return kind
    raise NotAnImage("It is neither PNG nor JPEG nor WebP")


def _walk_png(file, _size):
    """https://www.w3.org/TR/png-3/#5DataRep. Returns the number of pixels."""
    file.seek(len(_PNG_START))
    pixels = _png_pixels(file)
    found, parts = {b"IHDR"}, _parts()
    while True:
        next(parts)
        kind, length = _png_part(file)
        if kind == b"IEND" and length == 0 and b"IDAT" in found:
            return pixels
        is_critical = not kind[0] & 0x20
        if kind in (b"IHDR", b"IEND") or (is_critical and kind not in _PNG_CRITICAL):
            raise NotAnImage(f"A part {kind!r} cannot be there")
        found.add(kind)


def _png_pixels(file):
    kind, length = _png_part(file)
    file.seek(-length - 4, os.SEEK_CUR)
    if kind != b"IHDR" or length != 13:
        raise NotAnImage("A PNG begins with its header")
    width, height, depth, colours, *methods = unpack(">IIBBBBB", _exactly(file, length))
    file.seek(4, os.SEEK_CUR)
    if depth not in _PNG_DEPTHS.get(colours, ()) or methods not in ([0, 0, 0], [0, 0, 1]):
        raise NotAnImage("There is no PNG with such a header")
    return width * height


def _png_part(file):
    """Read one chunk, and check its sum. Returns (its type, its length)."""
    length, kind = unpack(">I4s", _exactly(file, 8))
    if not kind.isalpha():
        raise NotAnImage("A part has no name")
    computed = crc32(kind)
    for piece in _pieces(file, length):
        computed = crc32(piece, computed)
    if unpack(">I", _exactly(file, 4)) != (computed,):
        raise NotAnImage(f"A part {kind!r} is damaged")
    return kind, length


def _walk_jpeg(file, _size):
    """https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B. Returns the number of pixels."""
    file.seek(2)
    pixels, has_scan, parts = None, False, _parts()
    while True:
        next(parts)
        marker = _jpeg_marker(file)
        if marker == _JPEG_END and has_scan:
            return pixels
        if marker not in _JPEG_SEGMENTS or (marker in _JPEG_FRAMES and pixels is not None):
            raise NotAnImage(f"A segment {marker:#x} cannot be there")
        (length,) = unpack(">H", _exactly(file, 2))
        segment = _exactly(file, length - 2)
        if marker in _JPEG_FRAMES:
            pixels = _jpeg_pixels(segment)
        if marker == _JPEG_SCAN:
            if pixels is None:
                raise NotAnImage("Its data come before its size")
            has_scan = True
            _skip_scan(file)


def _jpeg_marker(file):
    if _exactly(file, 1) != b"\xff":
        raise NotAnImage(f"There is no segment at byte {file.tell() - 1}")
    marker = _exactly(file, 1)
    while marker == b"\xff":  # as many as the encoder liked
        marker = _exactly(file, 1)
    return marker[0]


def _jpeg_pixels(segment):
    if len(segment) < 6:
        raise NotAnImage("Its size is missing")
    precision, height, width, components = unpack(">BHHB", segment[:6])
    if precision != 8 or components not in (1, 3, 4) or len(segment) != 6 + 3 * components:
        raise NotAnImage("There is no JPEG of such a kind on the web")
    return width * height


def _skip_scan(file):
    """Go to the marker behind compressed data."""
    before = b""
    for piece in iter(partial(file.read, _PIECE_BYTES), b""):
        data = before + piece
        if found := _JPEG_BEHIND_SCAN.search(data):
            file.seek(found.start() - len(data), os.SEEK_CUR)
            return
        before = b"\xff" if data.endswith(b"\xff") else b""
    raise _ends_too_early()


def _walk_webp(file, size):
    """https://developers.google.com/speed/webp/docs/riff_container. Returns the pixels' number."""
    file.seek(4)
    if unpack("<I", _exactly(file, 4)) != (size - 8,):
        raise NotAnImage(f"It does not have the {size} bytes that it says")
    file.seek(12)
    pixels, found, parts = None, set(), _parts()
    while file.tell() < size:
        next(parts)
        kind, length = unpack("<4sI", _exactly(file, 8))
        is_simple = b"VP8X" not in found
        if kind not in _WEBP_PARTS or (found and is_simple):
            raise NotAnImage(f"A part {kind!r} cannot be there")
        start = _exactly(file, min(length, 10))
        if not found:
            pixels = _webp_pixels(kind, start)
        found.add(kind)
        for _ in _pieces(file, length + length % 2 - len(start)):
            pass
    if not found & {b"VP8 ", b"VP8L", b"ANMF"}:
        raise NotAnImage("There is no image in it")
    return pixels


def _webp_pixels(kind, start):
    start = start.ljust(10, b"\0")
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(start[at : at + 3], "little") for at in (4, 7))
    elif kind == b"VP8L" and start[0] == 0x2F:
        bits = int.from_bytes(start[1:5], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 " and start[3:6] == b"\x9d\x01\x2a" and not start[0] & 1:
        width, height = (side & 0x3FFF for side in unpack("<HH", start[6:]))
    else:
        raise NotAnImage("A WebP begins with its size")
    return width * height


_WALKS = {PNG: _walk_png, JPEG: _walk_jpeg, WEBP: _walk_webp}


def _parts():
    """As many turns as an image may have parts. Raises NotAnImage at their end."""
    yield from islice(repeat(None), MOST_PARTS)
    raise NotAnImage(f"It has more than {MOST_PARTS} parts")


def _pieces(file, length):
    """Yield the next bytes piece by piece, exactly so many."""
    while length > 0:
        piece = _exactly(file, min(length, _PIECE_BYTES))
        length -= len(piece)
        yield piece


def _exactly(file, length):
    data = file.read(length) if length >= 0 else b""
    if len(data) != length:
        raise _ends_too_early()
    return data


def _ends_too_early():
    return NotAnImage("It ends before the image does")
