"""PNG, JPEG and WebP, known by their content.

A file is walked through part by part, up to the end of the image. What follows is cut off: the
second picture and the padding of phones, and also a script or an archive. No pixel is decoded, so
there is no decoder to attack, and no bomb can go off.

What decoders accept is accepted: they, too, pass over parts that they do not know. Refused is an
image that ends too early, lacks what its data need, or would fill a viewer's memory. Damage within
the compressed data of a JPEG or a WebP is not seen; a viewer shows what it can.
"""

import re
from dataclasses import dataclass

from chassis.images import jpeg, png, webp
from chassis.images.reading import NotAnImage

__all__ = ["JPEG", "KINDS", "MOST_PIXELS", "PNG", "WEBP", "Kind", "NotAnImage", "recognise"]

MOST_PIXELS = 100_000_000  # 400 MB once a viewer has decoded it


@dataclass(frozen=True, slots=True)
class Kind:
    """suffix: of a file's name, without the dot. start: what its first bytes are, a pattern."""

    content_type: str
    suffix: str
    start: re.Pattern


PNG = Kind("image/png", "png", re.compile(re.escape(png.START)))
JPEG = Kind("image/jpeg", "jpg", re.compile(rb"\xff\xd8\xff"))
WEBP = Kind("image/webp", "webp", re.compile(rb"RIFF....WEBP", re.DOTALL))
KINDS = (PNG, JPEG, WEBP)
_WALKS = {PNG: png.walk, JPEG: jpeg.walk, WEBP: webp.walk}


def recognise(file):
    """Return the Kind of image that a file holds, and cut off what follows the image.

    file: binary, can be read, written and seeked. It is read through once, in pieces. Raises
    NotAnImage.
    """
    file.seek(0)
    start = file.read(12)
    for kind, walk in _WALKS.items():
        if kind.start.match(start):
            walk(file, _check_size)
            file.truncate()
            return kind
    raise NotAnImage("It is neither PNG nor JPEG nor WebP")


def _check_size(width, height):
    pixels = width * height
    if not 1 <= pixels <= MOST_PIXELS:
        raise NotAnImage(f"It has {pixels} pixels; 1 to {MOST_PIXELS} can be taken")
