"""Images as many encoders make them, and the same with something done to them, from a seed.

make = Maker(random.Random(7))
name, data = make.image()           # "png palette", bytes
name, data = make.changed(data)     # "a part left out", bytes
"""

import io
import zlib
from struct import pack, unpack

from PIL import Image

from tests.images import chunk, header

LARGEST_SIDE = 40
TAILS = (bytes(64), b"<?php system($_GET[0]); ?>", b"<script>alert(1)</script>", b"PK\3\4....")
_ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
_ADAM7.append((0, 1, 1, 2))


class Maker:
    """dice: a random.Random, which decides everything."""

    def __init__(self, dice):
        self.dice = dice

    # ---- images

    def image(self):
        """Return (the name of its kind, the bytes of a sound image)."""
        make = self.dice.choice(
            [self._png, self._png, self._interlaced, self._jpeg, self._jpeg, self._jpeg]
            + [self._phone, self._webp, self._webp, self._animation]
        )
        return make()

    def _picture(self, mode):
        size = [self.dice.randint(1, LARGEST_SIDE) for _ in range(2)]
        if self.dice.random() < 0.5:
            picture = Image.frombytes("RGBA", size, self.dice.randbytes(4 * size[0] * size[1]))
        else:
            picture = Image.linear_gradient("L").resize(size).convert("RGBA")
        return picture.convert(mode)

    def _saved(self, picture, kind, **options):
        file = io.BytesIO()
        picture.save(file, kind, **options)
        return file.getvalue()

    def _metadata(self):
        found = {}
        if self.dice.random() < 0.3:
            exif = Image.Exif()
            exif[0x0112], exif[0x010F] = self.dice.randint(1, 8), "A camera"
            found["exif"] = exif
        if self.dice.random() < 0.2:
            found["icc_profile"] = self.dice.randbytes(self.dice.randint(1, 500))
        return found

    def _png(self):
        mode = self.dice.choice(["1", "L", "LA", "I;16", "P", "RGB", "RGBA"])
        picture = self._picture("L" if mode == "I;16" else mode).convert(mode)
        return f"png {mode}", self._saved(picture, "PNG", **self._metadata())

    def _interlaced(self):
        width, height = (self.dice.randint(1, LARGEST_SIDE) for _ in range(2))
        colours, depth = self.dice.choice([(0, 1), (0, 8), (0, 16), (2, 8), (6, 8), (6, 16)])
        bits = depth * {0: 1, 2: 3, 6: 4}[colours]
        rows = b""
        for column, row, column_step, row_step in _ADAM7:
            columns = len(range(column, width, column_step))
            if columns:
                size = -(-columns * bits // 8)
                for _ in range(row, height, row_step):
                    rows += bytes([self.dice.randrange(5)]) + self.dice.randbytes(size)
        data = zlib.compress(rows)
        at = self.dice.randint(0, len(data))
        start = b"\x89PNG\r\n\x1a\n" + header(width, height, depth, colours, (0, 0, 1))
        parts = chunk(b"IDAT", data[:at]) + chunk(b"IDAT", data[at:]) + chunk(b"IEND")
        return "png interlaced", start + parts

    def _jpeg(self):
        mode = self.dice.choice(["L", "RGB", "RGB", "CMYK"])
        progressive = self.dice.random() < 0.4
        options = {
            "quality": self.dice.randint(1, 100),
            "progressive": progressive,
            "optimize": self.dice.random() < 0.3,
            "subsampling": self.dice.randint(0, 2),
            "restart_marker_blocks": self.dice.choice([0, 0, 1, 4]),
            **({"comment": b"A comment"} if self.dice.random() < 0.3 else {}),
            **self._metadata(),
        }
        name = f"jpeg {mode}{' progressive' if progressive else ''}"
        return name, self._saved(self._picture(mode), "JPEG", **options)

    def _phone(self):
        """Two pictures in one file, as for a gain map; sometimes padded."""
        more = [self._picture("RGB") for _ in range(self.dice.randint(1, 2))]
        data = self._saved(self._picture("RGB"), "MPO", save_all=True, append_images=more)
        return "jpeg with more pictures", data + bytes(self.dice.choice([0, 0, 4096]))

    def _webp(self):
        lossless = self.dice.random() < 0.5
        mode = self.dice.choice(["RGB", "RGBA"])
        options = {"lossless": lossless, "quality": self.dice.randint(0, 100), **self._metadata()}
        name = f"webp {mode} {'lossless' if lossless else 'lossy'}"
        return name, self._saved(self._picture(mode), "WEBP", **options)

    def _animation(self):
        first = self._picture(self.dice.choice(["RGB", "RGBA"]))
        more = [Image.effect_noise(first.size, 50).convert(first.mode) for _ in range(2)]
        kind = self.dice.choice(["WEBP", "PNG"])
        data = self._saved(first, kind, save_all=True, append_images=more, duration=100)
        return f"{kind.lower()} animated", data

    # ---- changes

    def changed(self, data):
        """Return (the name of a change, the bytes after it)."""
        change = self.dice.choice(
            [self._tail, self._tail, self._cut, self._flip, self._flip_many, self._erase]
            + [self._leave_out, self._repeat, self._swap, self._insert, self._edit, self._edit]
            + [self._fill, self._splice]
        )
        return change(data)

    def _tail(self, data):
        more = self.dice.choice([*TAILS, self.dice.randbytes(50), self.image()[1]])
        return "something behind it", data + more

    def _cut(self, data):
        return "cut short", data[: self.dice.randint(0, len(data) - 1)]

    def _flip(self, data):
        return self._flipped(data, 1)

    def _flip_many(self, data):
        return self._flipped(data, self.dice.randint(2, 20))

    def _flipped(self, data, times):
        changed = bytearray(data)
        for _ in range(times):
            changed[self.dice.randrange(len(data))] ^= 1 << self.dice.randrange(8)
        return "bits flipped", bytes(changed)

    def _erase(self, data):
        at = self.dice.randrange(len(data))
        length = min(self.dice.randint(1, 30), len(data) - at)
        return "bytes erased", data[:at] + bytes(length) + data[at + length :]

    def _splice(self, data):
        at = self.dice.randrange(len(data))
        if self.dice.random() < 0.5:
            return "bytes left out", data[:at] + data[at + self.dice.randint(1, 30) :]
        return "bytes put in", data[:at] + self.dice.randbytes(self.dice.randint(1, 30)) + data[at:]

    # of parts: [(name, content)], the same for all three formats

    def _leave_out(self, data):
        parts = split(data)
        parts.pop(self.dice.randrange(len(parts)))
        return "a part left out", join(data, parts)

    def _repeat(self, data):
        parts = split(data)
        part = self.dice.choice(parts[1:] or parts)  # not the header, which stands alone and first
        parts.insert(self.dice.randint(1, len(parts)), part)
        return "a part twice", join(data, parts)

    def _swap(self, data):
        parts = split(data)
        one, other = (self.dice.randint(min(1, len(parts) - 1), len(parts) - 1) for _ in "ab")
        parts[one], parts[other] = parts[other], parts[one]
        return "two parts swapped", join(data, parts)

    def _insert(self, data):
        parts = split(data)
        name = {b"\x89": [b"teSt", b"teXt"], b"\xff": [b"\xed", b"\xfe"], b"R": [b"C2PA", b"TEST"]}
        part = self.dice.choice(name[data[:1]]), self.dice.randbytes(self.dice.randint(0, 40))
        parts.insert(self.dice.randint(1, len(parts)), part)
        return "an unknown part put in", join(data, parts)

    def _edit(self, data):
        """Change the content of one part, with a right sum and length: pixels, or what is said."""
        parts = split(data)
        number = self.dice.randrange(len(parts))
        name, content = parts[number]
        content = bytearray(content or b"\0")
        for _ in range(self.dice.randint(1, 3)):
            content[self.dice.randrange(len(content))] = self.dice.randrange(256)
        parts[number] = name, bytes(content)
        return "a part edited", join(data, parts)

    def _fill(self, data):
        """Fill bytes before a JPEG's markers; a longer size of a WebP; a PNG's data in pieces."""
        parts = split(data)
        if data[:1] == b"\xff":
            parts = [(b"\xff" * self.dice.randint(0, 2) + name, content) for name, content in parts]
        elif data[:1] == b"\x89":
            at = [name for name, _ in parts].index(b"IDAT")
            content, middle = parts[at][1], self.dice.randint(0, len(parts[at][1]))
            parts[at : at + 1] = [(b"IDAT", content[:middle]), (b"IDAT", content[middle:])]
        return "the same written in another way", join(data, parts)


def split(data):
    """Return the parts of a sound image, [(name, content)]; of a JPEG, data belong to the scan."""
    if data[:1] == b"\x89":
        return _split_png(data)
    return _split_jpeg(data) if data[:1] == b"\xff" else _split_webp(data)


def join(data, parts):
    """Return an image of these parts, in the format of `data`."""
    if data[:1] == b"\x89":
        return data[:8] + b"".join(chunk(name, content) for name, content in parts)
    if data[:1] == b"\xff":
        joined = b"".join(b"\xff" + name + _with_length(name, content) for name, content in parts)
        return b"\xff\xd8" + joined
    chunks = b"".join(
        name + pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
        for name, content in parts
    )
    return b"RIFF" + pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def _split_png(data):
    parts, at = [], 8
    while at < len(data):
        (length,) = unpack(">I", data[at : at + 4])
        parts.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return parts


def _split_jpeg(data):
    parts, at = [], 2
    while at < len(data):
        name = data[at + 1 : at + 2]
        if name == b"\xd9":
            parts.append((name, data[at + 2 :]))  # with what follows it
            break
        end = at + 2 + unpack(">H", data[at + 2 : at + 4])[0]
        if name == b"\xda":
            while not (data[end] == 0xFF and data[end + 1] not in (0, *range(0xD0, 0xD8))):
                end += 1
        parts.append((name, data[at + 4 : end]))
        at = end
    return parts


def _with_length(name, content):
    if name.endswith(b"\xd9"):
        return content
    if name.endswith(b"\xda"):
        return pack(">H", 6 + 2 * content[0] if content else 2) + content
    return pack(">H", 2 + len(content)) + content


def _split_webp(data):
    parts, at = [], 12
    while at < len(data):
        name, length = unpack("<4sI", data[at : at + 8])
        parts.append((name, data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return parts
