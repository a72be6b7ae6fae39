"""Images for tests: a few that an encoder has made, and PNGs of any size."""

from pathlib import Path
from struct import pack
from zlib import compress, crc32

FOLDER = Path(__file__).parent / "data" / "images"
PNG, JPEG, WEBP = (
    (FOLDER / name).read_bytes() for name in ("rgb.png", "baseline.jpg", "lossy.webp")
)


def chunk(kind, data=b""):
    """Return one part of a PNG."""
    return pack(">I4s", len(data), kind) + data + pack(">I", crc32(kind + data))


def header(width=1, height=1, depth=8, colours=0, methods=(0, 0, 0)):
    """Return the first part of a PNG."""
    return chunk(b"IHDR", pack(">IIBBBBB", width, height, depth, colours, *methods))


def png(*parts):
    """Return a PNG of these parts, and its end."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND")


def png_of(size):
    """Return a sound PNG of exactly so many bytes."""
    start = b"\x89PNG\r\n\x1a\n" + header()
    end = chunk(b"IDAT", compress(b"\0\0")) + chunk(b"IEND")
    filling = bytes(size - len(start) - len(end) - 12)
    return start + chunk(b"teSt", filling) + end
