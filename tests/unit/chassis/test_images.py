"""What is an image, and what only looks like one."""

import io
from struct import pack

import pytest

from chassis import images
from tests.images import FOLDER, JPEG, PNG, WEBP, chunk, header, png

SAMPLES = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
DATA = chunk(b"IDAT", b"x")
SOUND = [PNG, JPEG, WEBP]
FRAME = b"\xff\xc0\x00\x0b\x08\x00\x01\x00\x01\x01\x01\x11\x00"
SCAN = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"


def recognise(data):
    return images.recognise(io.BytesIO(data))


def refusal_of(data):
    with pytest.raises(images.NotAnImage) as refusal:
        recognise(data)
    return refusal.value.detail


def jpeg(*segments):
    return b"\xff\xd8" + b"".join(segments) + b"\xff\xd9"


def webp(*parts, size=None):
    body = b"WEBP" + b"".join(
        kind + pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in parts
    )
    return b"RIFF" + pack("<I", len(body) if size is None else size) + body


def canvas(width, height):
    sides = (side - 1 for side in (width, height))
    return b"VP8X", bytes(4) + b"".join(side.to_bytes(3, "little") for side in sides)


LOSSLESS = (b"VP8L", b"\x2f" + bytes(4))


@pytest.mark.parametrize("name", SAMPLES)
def test_what_an_encoder_makes_is_an_image(name):
    assert recognise(SAMPLES[name]).suffix == name.rpartition(".")[2]


@pytest.mark.parametrize("name", SAMPLES)
def test_no_beginning_of_an_image_is_one(name):
    for length in range(len(SAMPLES[name])):
        refusal_of(SAMPLES[name][:length])


@pytest.mark.parametrize("image", SOUND, ids=["png", "jpeg", "webp"])
@pytest.mark.parametrize(
    "tail", [b"\0", b"PK\x03\x04", b"<?php system($_GET[0]); ?>", b"<script>alert(1)</script>", PNG]
)
def test_what_goes_on_after_its_end_is_no_image(image, tail):
    refusal_of(image + tail)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a" + bytes(100),
        b"BM" + bytes(100),
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<html><script>alert(1)</script></html>",
        b"%PDF-1.7",
        b"\x7fELF" + bytes(100),
        b"#!/bin/sh\n",
        b"PK\x03\x04" + bytes(100),
        b"II*\0" + bytes(100),
        b"\0\0\0\x1cftypavif" + bytes(100),
        b"RIFF\x24\0\0\0WAVEfmt " + bytes(100),
        b"\n" + PNG,
        PNG.replace(b"\r\n", b"\n", 1),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_something_else_is_no_image(data):
    refusal_of(data)


@pytest.mark.parametrize("place", range(8, len(PNG)))
def test_a_png_with_any_byte_changed_is_damaged(place):
    changed = bytearray(PNG)
    changed[place] ^= 1
    refusal_of(bytes(changed))


@pytest.mark.parametrize(
    "data",
    [
        png(header()),
        png(DATA),
        png(header(), header(), DATA),
        png(header(), DATA, chunk(b"IEND", b"x")),
        png(header(), DATA, chunk(b"EvIL", b"x")),
        png(header(), DATA, chunk(b"i<v>", b"x")),
        png(header(depth=7), DATA),
        png(header(colours=5), DATA),
        png(header(methods=(1, 0, 0)), DATA),
        png(header(methods=(0, 0, 2)), DATA),
        png(chunk(b"IHDR", bytes(14)), DATA),
        png(header(), pack(">I4s", 2**32 - 1, b"IDAT") + b"x"),
        jpeg(),
        jpeg(FRAME),
        jpeg(SCAN, FRAME),
        jpeg(FRAME, FRAME, SCAN),
        jpeg(b"\xff\xc3" + FRAME[2:], SCAN),
        jpeg(FRAME[:4] + b"\x0c" + FRAME[5:], SCAN),
        jpeg(b"\xff\xc0\x00\x02", SCAN),
        jpeg(b"\xff\xe1\x00\x01", FRAME, SCAN),
        jpeg(b"junk", FRAME, SCAN),
        jpeg(FRAME, SCAN, b"\xff\xd8"),
        webp(),
        webp(canvas(1, 1)),
        webp(LOSSLESS, LOSSLESS),
        webp(LOSSLESS, (b"EVIL", b"x")),
        webp((b"EXIF", b"x"), LOSSLESS),
        webp((b"VP8L", bytes(5))),
        webp((b"VP8 ", b"\x01" + bytes(9))),
        webp(LOSSLESS, size=4),
        webp(LOSSLESS, size=2**32 - 1),
    ],
    ids=lambda data: repr(data[8:40]),
)
def test_parts_that_make_no_image_are_refused(data):
    refusal_of(data)


def test_the_parts_above_make_images_when_they_are_put_together_well():
    assert recognise(png(header(), chunk(b"teXt", b"<script>"), DATA)) is images.PNG
    assert recognise(jpeg(FRAME, SCAN, b"\xff\x00\xff\xd7\xff\x00")) is images.JPEG
    assert recognise(jpeg(b"\xff\xff\xfe\x00\x02", FRAME, SCAN)) is images.JPEG
    assert recognise(webp(LOSSLESS)) is images.WEBP
    assert recognise(webp(canvas(7, 9), LOSSLESS, (b"EXIF", b"x"))) is images.WEBP


def test_compressed_data_may_be_cut_anywhere_when_they_are_read(monkeypatch):
    for size in range(1, 40):
        monkeypatch.setattr(images, "_PIECE_BYTES", size)
        assert recognise(JPEG) is images.JPEG


@pytest.mark.parametrize("sides", [(10_001, 10_000), (2**31 - 1, 2**31 - 1), (0, 5), (5, 0)])
def test_what_would_fill_a_viewers_memory_or_has_no_pixel_is_refused(sides):
    width, height = sides
    small = [png(header(*sides), DATA)]
    if width < 2**16:
        size = pack(">HH", height, width)
        small.append(jpeg(FRAME[:5] + size + FRAME[9:], SCAN))
    if 0 < width < 2**24 and height:
        small.append(webp(canvas(*sides), LOSSLESS))
    for data in small:
        assert "pixels" in refusal_of(data)
    assert recognise(png(header(10_000, 10_000), DATA)) is images.PNG


@pytest.mark.parametrize(
    "data",
    [
        png(header(), chunk(b"teXt") * 200_000, DATA),
        jpeg(b"\xff\xfe\x00\x02" * 200_000, FRAME, SCAN),
        webp(canvas(1, 1), LOSSLESS, *[(b"EXIF", b"")] * 200_000),
    ],
    ids=["png", "jpeg", "webp"],
)
def test_a_file_of_countless_parts_is_given_up(data):
    assert "parts" in refusal_of(data)
