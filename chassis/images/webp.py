"""WebP: https://developers.google.com/speed/webp/docs/riff_container, as libwebp reads it."""

from os import SEEK_END
from struct import pack, unpack

from chassis.images.reading import NotAnImage, exactly, parts, pieces

_LEAST = 12
_PICTURES = frozenset({b"VP8 ", b"VP8L"})
_ANIMATED, _KNOWN_FLAGS = 0x02, 0x3E
_CANVAS_BYTES, _ANIMATION_BYTES, _FRAME_BYTES = 10, 6, 16


def walk(file, check_size):
    """Read a WebP up to its end, and leave the file there. Raises NotAnImage.

    Of a file without a canvas, only the picture is kept, and its header tells the new size.
    check_size: is called with width and height, and raises what is too large.
    """
    there = file.seek(0, SEEK_END)
    file.seek(4)
    end = 8 + unpack("<I", exactly(file, 4))[0]
    if end < _LEAST + 8 or end > there:
        raise NotAnImage(f"It says that it has {end} bytes, and has {there}")
    file.seek(_LEAST)
    kind, length = _chunk(file, end)
    if kind == b"VP8X":
        _walk_extended(file, length, end, check_size)
    else:
        check_size(*_picture(file, kind, length))
        _shorten(file)


def _shorten(file):
    end = file.tell()
    file.seek(4)
    file.write(pack("<I", end - 8))
    file.seek(end)


def _walk_extended(file, length, end, check_size):
    canvas, is_animated = _canvas(file, length)
    check_size(*canvas)
    has_animation, frames, turns = False, 0, parts()
    while file.tell() < end:
        next(turns)
        kind, length = _chunk(file, end)
        if kind == b"VP8X":
            raise NotAnImage("It has two canvases")
        if kind == b"ANIM":
            _require(length >= _ANIMATION_BYTES, "Its animation is damaged")
            has_animation = True
        if kind == b"ANMF":
            _require(has_animation, "A frame comes before its animation")
            frames += _frame(file, length, canvas, is_animated)
        elif kind in _PICTURES or kind == b"ALPH":
            _require(not has_animation and not is_animated and not frames, "It has two pictures")
            if kind == b"ALPH":
                kind, length = _behind_alpha(file, length, end)
            size = _picture(file, kind, length)
            _require(size == canvas, "Its picture does not fill its canvas")
            frames += 1
        else:
            _pass_over(file, length)  # what a reader does not know, it ignores
    _require(frames, "There is no picture in it")
    file.seek(end)


def _canvas(file, length):
    _require(length >= _CANVAS_BYTES, "Its canvas is damaged")
    start = exactly(file, _CANVAS_BYTES)
    _require(not start[0] & ~_KNOWN_FLAGS, "Its canvas is damaged")
    _pass_over(file, length, read=_CANVAS_BYTES)
    width, height = (1 + int.from_bytes(start[at : at + 3], "little") for at in (4, 7))
    return (width, height), bool(start[0] & _ANIMATED)


def _frame(file, length, canvas, is_animated):
    """Read one frame of an animation. Returns how many frames that is: 1, or 0 without the flag."""
    end = file.tell() + length
    _require(length >= _FRAME_BYTES + 8, "A frame is damaged")
    start = exactly(file, _FRAME_BYTES)
    x, y = (2 * int.from_bytes(start[at : at + 3], "little") for at in (0, 3))
    kind, length = _chunk(file, end)
    if kind == b"ALPH":
        kind, length = _behind_alpha(file, length, end)
    width, height = _picture(file, kind, length)
    _require(x + width <= canvas[0] and y + height <= canvas[1], "A frame leaves the canvas")
    _require(file.tell() <= end + end % 2, "A frame is damaged")
    return int(is_animated)


def _behind_alpha(file, length, end):
    _pass_over(file, length)
    kind, length = _chunk(file, end)
    _require(kind == b"VP8 ", "Only a lossy picture has an alpha channel of its own")
    return kind, length


def _chunk(file, end):
    """Read the head of a chunk. Returns (its name, its length)."""
    _require(end - file.tell() >= 8, "A part is damaged")
    kind, length = unpack("<4sI", exactly(file, 8))
    _require(file.tell() + length <= end, "A part is longer than the file")
    return kind, length


def _picture(file, kind, length):
    """Read a picture. Returns (its width, its height)."""
    start = exactly(file, min(length, 10)).ljust(10, b"\0")
    if kind == b"VP8L" and start[0] == 0x2F and not start[4] >> 5:
        bits = int.from_bytes(start[1:5], "little")
        size = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 " and start[3:6] == b"\x9d\x01\x2a" and _is_key_frame(start, length):
        size = tuple(side & 0x3FFF for side in unpack("<HH", start[6:]))
    else:
        raise NotAnImage("A WebP begins with its size")
    _pass_over(file, length, read=min(length, 10))
    return size


def _is_key_frame(start, length):
    bits = int.from_bytes(start[:3], "little")
    return not bits & 1 and (bits >> 1 & 7) <= 3 and bits >> 4 & 1 and bits >> 5 < length


def _pass_over(file, length, read=0):
    for _ in pieces(file, length + length % 2 - read):
        pass


def _require(condition, otherwise):
    if not condition:
        raise NotAnImage(otherwise)
