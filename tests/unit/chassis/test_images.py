"""What is an image, and what only looks like one."""

import io
import tracemalloc
from struct import pack
from zlib import compress

import pytest

from chassis import images
from chassis.images import reading
from tests.images import FOLDER, JPEG, PNG, WEBP, chunk, header, png

SAMPLES = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
# Damage behind this place of a PNG is mended. An animation's first picture is its pixels.
END_OF_PIXELS = {
    name: data.rindex(b"IDAT") + 8 + int.from_bytes(data[data.rindex(b"IDAT") - 4 :][:4])
    for name, data in SAMPLES.items()
    if name.endswith(".png")
}
DATA = chunk(b"IDAT", compress(b"\0\0"))
SOUND = [PNG, JPEG, WEBP]
TABLE = b"\xff\xdb\x00\x43\x00" + bytes([1] * 64)
FRAME = b"\xff\xc0\x00\x0b\x08\x00\x01\x00\x01\x01\x01\x11\x00"
FRAME_OF_TWO_SCANS = b"\xff\xc2" + FRAME[2:]
SCAN = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"


def recognise(data):
    return images.recognise(io.BytesIO(data))


def stored(data):
    file = io.BytesIO(data)
    images.recognise(file)
    return file.getvalue()


def refusal_of(data):
    with pytest.raises(images.NotAnImage) as refusal:
        recognise(data)
    return refusal.value.detail


def jpeg(*segments):
    """A JPEG of these segments, behind the one that all of them need."""
    return b"\xff\xd8" + TABLE + b"".join(segments) + b"\xff\xd9"


def huffman(kind, counts, symbols):
    return b"\xff\xc4" + pack(">HB", 19 + len(symbols), kind) + bytes(counts) + bytes(symbols)


def webp(*parts, size=None):
    body = b"WEBP" + b"".join(
        kind + pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in parts
    )
    return b"RIFF" + pack("<I", len(body) if size is None else size) + body


def canvas(width, height):
    sides = (side - 1 for side in (width, height))
    return b"VP8X", bytes(4) + b"".join(side.to_bytes(3, "little") for side in sides)


def animation(width, height):
    return b"VP8X", b"\2" + canvas(width, height)[1][1:]


LOSSLESS = (b"VP8L", b"\x2f" + bytes(4))
ANIMATION = (b"ANIM", bytes(6))
FRAME_OF_ANIMATION = (b"ANMF", bytes(16) + b"VP8L" + pack("<I", 5) + LOSSLESS[1] + b"\0")


@pytest.mark.parametrize("name", SAMPLES)
def test_what_an_encoder_makes_is_an_image(name):
    assert recognise(SAMPLES[name]).suffix == name.rpartition(".")[2]


@pytest.mark.parametrize("name", SAMPLES)
def test_what_an_encoder_makes_is_stored_as_it_is(name):
    assert stored(SAMPLES[name]) == SAMPLES[name]


@pytest.mark.parametrize("name", SAMPLES)
def test_no_beginning_of_an_image_is_one_before_its_pixels_end(name):
    data = SAMPLES[name]
    behind = END_OF_PIXELS.get(name, len(data))
    for length in range(behind):
        refusal_of(data[:length])
    for length in range(behind, len(data)):
        assert stored(data[:length]).endswith(chunk(b"IEND"))


@pytest.mark.parametrize("image", SOUND, ids=["png", "jpeg", "webp"])
@pytest.mark.parametrize(
    "tail", [b"\0", b"PK\x03\x04", b"<?php system($_GET[0]); ?>", b"<script>alert(1)</script>", PNG]
)
def test_nothing_behind_its_end_is_stored(image, tail):
    assert stored(image + tail) == image


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
def test_a_png_with_a_byte_changed_is_damaged_unless_it_is_behind_the_pixels(place):
    changed = bytearray(PNG)
    changed[place] ^= 1
    if place < END_OF_PIXELS["rgb.png"]:
        refusal_of(bytes(changed))
    else:
        assert stored(bytes(changed)) == PNG


@pytest.mark.parametrize(
    "data",
    [
        png(header()),
        png(DATA),
        png(header(), header(), DATA),
        png(header(), chunk(b"IEND", b"x"), DATA),
        png(header(), chunk(b"EvIL", b"x"), DATA),
        png(header(), chunk(b"i<v>", b"x"), DATA),
        png(header(), chunk(b"IDAT", b"x")),
        png(header(), chunk(b"IDAT", compress(b"\0"))),
        png(header(), chunk(b"IDAT", compress(b"\5\0"))),
        png(header(), chunk(b"IDAT", compress(b"\0\0")[:3]), chunk(b"teXt"), DATA),
        png(header(), chunk(b"fcTL", bytes(26)), chunk(b"fcTL", bytes(26)), DATA),
        png(header(), chunk(b"fcTL", bytes(7) + b"\2" + bytes(18)), DATA),
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
        jpeg(FRAME, SCAN, b"\xff\xd8"),
        jpeg(FRAME, SCAN, SCAN),
        jpeg(FRAME_OF_TWO_SCANS, SCAN),
        jpeg(FRAME[:-1] + b"\x01", SCAN),
        jpeg(FRAME[:-2] + b"\x01\x00", SCAN),
        jpeg(FRAME, SCAN[:5] + b"\x02" + SCAN[6:]),
        jpeg(FRAME, SCAN[:6] + b"\x22" + SCAN[7:]),
        jpeg(huffman(0, [3] + [0] * 15, [0, 1, 2]), FRAME, SCAN),
        jpeg(huffman(0, [1] + [0] * 15, [16]), FRAME, SCAN),
        jpeg(huffman(0, [1] + [0] * 15, []), FRAME, SCAN),
        jpeg(TABLE[:-1], FRAME, SCAN),
        b"\xff\xd8" + FRAME + SCAN + b"\xff\xd9",
        webp(),
        webp(canvas(1, 1)),
        webp(canvas(1, 1), LOSSLESS, LOSSLESS),
        webp(canvas(1, 1), canvas(1, 1), LOSSLESS),
        webp(canvas(2, 1), LOSSLESS),
        webp(canvas(1, 1), FRAME_OF_ANIMATION),
        webp(animation(1, 1), ANIMATION, FRAME_OF_ANIMATION, LOSSLESS),
        webp(animation(1, 1), ANIMATION, (b"ANMF", b"\1" + FRAME_OF_ANIMATION[1][1:])),
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
    assert recognise(png(header(), chunk(b"fcTL", bytes(26)), DATA)) is images.PNG
    assert recognise(jpeg(FRAME, SCAN, b"\xff\x00\xff\xd7\xff\x00")) is images.JPEG
    assert recognise(jpeg(b"\xff\xff\xfe\x00\x02", FRAME, SCAN)) is images.JPEG
    assert recognise(jpeg(b"junk", FRAME, SCAN)) is images.JPEG
    assert recognise(jpeg(huffman(0, [1] + [0] * 15, [15]), FRAME, SCAN)) is images.JPEG
    assert recognise(webp(LOSSLESS)) is images.WEBP
    assert recognise(webp(canvas(1, 1), LOSSLESS, (b"EXIF", b"x"))) is images.WEBP
    assert recognise(webp(canvas(1, 1), (b"C2PA", b"x"), LOSSLESS)) is images.WEBP
    assert recognise(webp(animation(1, 1), ANIMATION, FRAME_OF_ANIMATION)) is images.WEBP


def test_what_is_not_needed_behind_the_pixels_is_cut_off():
    sound = png(header(), DATA)
    for part in (chunk(b"IEND", b"x"), chunk(b"EvIL"), chunk(b"i<v>"), b"junk", DATA[:-1]):
        assert stored(png(header(), DATA, part)) in (sound, png(header(), DATA, part)[:-12])
    assert stored(webp(LOSSLESS, (b"EVIL", b"<script>"))) == webp(LOSSLESS)
    assert stored(webp(canvas(1, 1), LOSSLESS) + b"<script>") == webp(canvas(1, 1), LOSSLESS)


def test_the_photo_of_a_phone_is_stored_without_its_second_picture_and_padding():
    gain_map = jpeg(FRAME, SCAN)
    first = jpeg(b"\xff\xe2\x00\x06MPF\0", FRAME, SCAN)

    assert stored(first + gain_map + bytes(4096)) == first


def test_compressed_data_may_be_cut_anywhere_when_they_are_read(monkeypatch):
    for size in range(1, 40):
        monkeypatch.setattr(reading, "PIECE_BYTES", size)
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


def test_an_image_of_the_most_pixels_is_taken_without_the_memory_that_they_fill():
    rows = chunk(b"IDAT", compress(bytes(10_000 * 1_251)))

    tracemalloc.start()
    assert recognise(png(header(10_000, 10_000, depth=1), rows)) is images.PNG
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 8_000_000


@pytest.mark.parametrize(
    "data",
    [
        png(header(), chunk(b"teXt") * 200_000, DATA),
        jpeg(b"\xff\xfe\x00\x02" * 200_000, FRAME, SCAN),
        webp(canvas(1, 1), *[(b"EXIF", b"")] * 200_000, LOSSLESS),
    ],
    ids=["png", "jpeg", "webp"],
)
def test_a_file_of_countless_parts_is_given_up(data):
    assert "parts" in refusal_of(data)
