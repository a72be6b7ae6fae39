"""What the three walks share: reading exactly so much, a bound of parts, and the refusal."""

from itertools import islice, repeat

from chassis.errors import Problem

MOST_PARTS = 100_000  # for 75 MB, encoders make some 10,000
PIECE_BYTES = 256 * 1024


class NotAnImage(Problem):
    status, code, title = 422, "not_an_image", "Unsupported or damaged image"
    advice = "Send a whole PNG, JPEG or WebP. `detail` says what is wrong with this one."


def parts():
    """Yield as many turns as an image may have parts. Raises NotAnImage at their end."""
    yield from islice(repeat(None), MOST_PARTS)
    raise NotAnImage(f"It has more than {MOST_PARTS} parts")


def pieces(file, length):
    """Yield the next bytes, exactly so many, piece by piece. Raises NotAnImage if they end."""
    while length > 0:
        piece = exactly(file, min(length, PIECE_BYTES))
        length -= len(piece)
        yield piece


def exactly(file, length):
    """Return the next bytes, exactly so many. Raises NotAnImage if they end."""
    data = file.read(length) if length >= 0 else b""
    if len(data) != length:
        raise ends_too_early()
    return data


def ends_too_early():
    return NotAnImage("It ends before the image does")
