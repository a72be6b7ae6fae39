"""What is stored as an image, a decoder shows; and what it shows is stored, with few exceptions."""

import io
import random
import warnings
from collections import Counter

import pytest
from PIL import Image

from chassis import images
from tests.made_images import Maker, split

MOST_PIXELS = 1_000_000  # here: a header that was changed may speak of terabytes
UNCHANGED = "as it is"

# What a decoder shows and we refuse, by our reason. All but the last are refused by the decoders of
# browsers too: libpng wants one header, at the beginning, and sound sums of the pixels.
REFUSED_ON_PURPOSE = (
    "A PNG begins with its header",
    "A part b'IHDR' cannot be there",
    "There is no PNG with such a header",
    "A part b'IDAT' is damaged",
    "Its data end before its last row",
    "It ends before the image does",
    "There is no picture in it",
    "A WebP begins with its size",
)


@pytest.fixture(autouse=True)
def _small_images(monkeypatch):
    monkeypatch.setattr(images, "MOST_PIXELS", MOST_PIXELS)


@pytest.mark.parametrize(
    ("count", "seed"), [(600, 9), *(pytest.param(5_000, n, marks=pytest.mark.long) for n in (2, 3))]
)
def test_a_decoder_and_we_agree(count, seed):
    make = Maker(random.Random(seed))
    shown, refused, damaged = 0, Counter(), 0
    for number in range(count):
        kind, sound = make.image()
        change, data = (UNCHANGED, sound) if number % 4 == 0 else make.changed(sound)
        stored, reason = taken(data)
        is_shown = 1 <= pixels_shown(data) <= MOST_PIXELS
        shown += is_shown

        if stored is None:
            assert change != UNCHANGED, (kind, reason)
            refused[reason] += is_shown
        elif not pixels_shown(stored):
            assert is_damage_of_pixels(sound, stored), (kind, change, seed, number)
            damaged += 1
        elif change == "something behind it":
            assert len(stored) <= len(sound), (kind, seed, number)

    print(f"{count} images, {shown} shown, {damaged} WebPs with damaged pixels taken;", +refused)
    assert set(+refused) <= set(REFUSED_ON_PURPOSE)
    assert refused.total() <= 0.01 * shown


def taken(data):
    """Return (the bytes that would be stored, None), or (None, why nothing would be)."""
    file = io.BytesIO(data)
    try:
        images.recognise(file)
    except images.NotAnImage as refusal:
        return None, refusal.detail
    return file.getvalue(), None


def pixels_shown(data):
    """Return how many pixels a decoder shows, 0 if it shows nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP"])
            if image.width * image.height <= MOST_PIXELS:
                image.load()
        return image.width * image.height
    except Exception:  # of whatever kind: it shows nothing
        return 0


def is_damage_of_pixels(sound, stored):
    """Whether a WebP has pixels that the sound one has not.

    They have no sum, so that they are damaged is seen by decoding alone.
    """
    return stored[:4] == b"RIFF" and not pixels_of(stored) <= pixels_of(sound)


def pixels_of(webp):
    return {part for part in split(webp) if part[0] in (b"VP8 ", b"VP8L", b"ALPH", b"ANMF")}
