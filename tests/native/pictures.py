"""Makes pictures of every kind that the program should read as sam2lab does, and damages some."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

Levels = npt.NDArray[np.integer]

PNG_MARK = b"\x89PNG\r\n\x1a\n"
XMP = '<rdf:Description tiff:Orientation="{}"/>'
# What PNG calls the colours of a file: the number of its kind, and the samples of a pixel.
KINDS = {"L": (0, 1), "RGB": (2, 3), "P": (3, 1), "LA": (4, 2), "RGBA": (6, 4)}
# The first pixel of each pass of an interlaced PNG and the steps to the next, x before y.
PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8)),
    *((2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)


def smooth(height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Colours that change slowly, with some noise, so that JPEG's rounding shows."""
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / 9 + c) + np.cos(y / (7 + c)) for c in range(3)], axis=-1)
    noise = np.random.default_rng(seed).normal(0, 0.1, waves.shape)
    return np.uint8(np.clip(127 + 60 * (waves + noise), 0, 255))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The file of a picture, as Pillow writes it."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def png(
    samples: Levels,
    kind: str,
    depth: int,
    before: bytes = b"",
    after: bytes = b"",
    interlaced: bool = False,
) -> bytes:
    """A PNG of samples (H, W, C); `before` and `after` are chunks around the pixels."""
    number, _ = KINDS[kind]
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, number, 0, 0, interlaced)
    parts = [samples[y::dy, x::dx] for x, y, dx, dy in PASSES] if interlaced else [samples]
    rows = b"".join(_rows(part, depth) for part in parts if part.size)
    pixels = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(rows)) + after
    return PNG_MARK + pixels + chunk(b"IEND", b"")


def _rows(samples: Levels, depth: int) -> bytes:
    flat = samples.reshape(len(samples), -1)
    if depth == 16:
        packed = flat.astype(">u2").view(np.uint8)
    elif depth == 8:
        packed = flat.astype(np.uint8)
    else:
        bits = flat[..., None] >> np.arange(depth - 1, -1, -1) & 1
        packed = np.packbits(bits.reshape(len(flat), -1).astype(np.uint8), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in packed)


def exif(orientation: int, order: str = "<", kind: int = 3) -> bytes:
    """EXIF with one entry: of type SHORT, LONG or another."""
    size = {1: "B", 3: "H", 4: "L", 5: "LL", 8: "h"}[kind]
    numbers = (orientation, 1) if kind == 5 else (orientation,)
    value = struct.pack(order + size, *numbers).ljust(4, b"\0")
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHL", 0x0112, kind, 1)
    place = struct.pack(order + "L", 8)
    return b"Exif\0\0" + mark + place + struct.pack(order + "H", 1) + entry + value[:4] + b"\0" * 4


def jpegs() -> Iterator[tuple[str, bytes]]:
    """JPEG files of every kind that Pillow writes, and of every orientation."""
    picture = Image.fromarray(smooth(43, 61))
    for sampling in ("4:4:4", "4:2:2", "4:2:0", "4:1:1"):
        for progressive in (False, True):
            name = f"{sampling.replace(':', '')}{' progressive' if progressive else ''}"
            options = {"subsampling": sampling, "progressive": progressive, "quality": 80}
            yield name, encoded(picture, "JPEG", **options)
    yield "grey", encoded(picture.convert("L"), "JPEG")
    yield "CMYK", encoded(picture.convert("CMYK"), "JPEG", quality=95)
    yield "CMYK progressive", encoded(picture.convert("CMYK"), "JPEG", progressive=True)
    yield "stored as RGB", encoded(picture, "JPEG", keep_rgb=True)
    yield "restarts", encoded(picture, "JPEG", restart_marker_rows=1)
    for width, height in ((1, 1), (1, 50), (50, 1), (8, 8), (17, 15), (700, 9), (640, 427)):
        yield f"{width}x{height}", encoded(Image.fromarray(smooth(height, width)), "JPEG")
    for orientation in range(10):
        order = "<>"[orientation % 2]
        yield f"turned {orientation}", encoded(picture, "JPEG", exif=exif(orientation, order))
    plain = encoded(picture, "JPEG")
    yield "turned by a LONG", encoded(picture, "JPEG", exif=exif(6, ">", 4))
    yield "turned by an SSHORT", encoded(picture, "JPEG", exif=exif(6, "<", 8))
    yield "turned by a BYTE", encoded(picture, "JPEG", exif=exif(6, "<", 1))
    yield "turned by XMP", encoded(picture, "JPEG", xmp=XMP.format(8).encode())
    yield "turned twice", encoded(picture, "JPEG", exif=exif(6), xmp=XMP.format(8).encode())
    yield "broken EXIF", encoded(picture, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\0")
    yield (
        "no EXIF in EXIF",
        encoded(picture, "JPEG", exif=b"Exif\0\0what", xmp=XMP.format(8).encode()),
    )
    yield "without its end", plain[:-2]
    yield "something after its end", plain + b"more"
    yield "two pictures", encoded(picture, "MPO", save_all=True, append_images=[picture])


def pngs() -> Iterator[tuple[str, bytes]]:
    """PNG files of every kind and depth, plain and interlaced, and of every orientation."""
    colours = smooth(21, 35)
    deep = smooth(21, 35).astype(np.uint16) * 257 ^ np.uint16(0x2B)
    palette = chunk(b"PLTE", np.random.default_rng(1).integers(0, 256, 48, np.uint8).tobytes())
    gamma = chunk(b"gAMA", struct.pack(">I", 45455))
    for interlaced in (False, True):
        name = " interlaced" if interlaced else ""
        for depth in (1, 2, 4):
            few = colours[..., :1] >> (8 - depth)
            yield f"L {depth}{name}", png(few, "L", depth, interlaced=interlaced)
            yield f"P {depth}{name}", png(few, "P", depth, palette, interlaced=interlaced)
        yield f"P 8{name}", png(colours[..., :1] >> 4, "P", 8, palette, interlaced=interlaced)
        for kind in ("L", "LA", "RGB", "RGBA"):
            samples = KINDS[kind][1]
            for depth, source in ((8, colours), (16, deep)):
                wide = np.concatenate([source, source[::-1]], axis=2)[..., :samples]
                yield f"{kind} {depth}{name}", png(wide, kind, depth, gamma, interlaced=interlaced)
    yield (
        "P with alpha",
        png(colours[..., :1] >> 4, "P", 8, palette + chunk(b"tRNS", bytes(range(16)))),
    )
    yield "P beyond its palette", png(colours[..., :1], "P", 8, palette)
    yield (
        "P 4 beyond its palette",
        png(colours[..., :1] >> 4, "P", 4, chunk(b"PLTE", bytes(range(9)))),
    )
    yield "L with alpha", png(colours[..., :1], "L", 8, chunk(b"tRNS", b"\0\x40"))
    yield "L 1 with alpha", png(colours[..., :1] >> 7, "L", 1, chunk(b"tRNS", b"\0\1"))
    yield "L 16 with alpha", png(deep[..., :1], "L", 16, chunk(b"tRNS", b"\x10\x40"))
    yield "RGB with alpha", png(colours, "RGB", 8, chunk(b"tRNS", b"\0\1\0\2\0\3"))
    picture = Image.fromarray(colours)
    for orientation in range(1, 9):
        yield f"turned {orientation}", encoded(picture, "PNG", exif=exif(orientation))
        turned = chunk(b"eXIf", exif(orientation, ">")[6:])
        yield f"turned afterwards {orientation}", png(deep[..., :1], "L", 16, after=turned)
    profile = f"\nexif\n      26\n{exif(6).hex()}\n"
    for place, text in {
        "Raw profile type exif": profile,
        "XML:com.adobe.xmp": XMP.format(6),
    }.items():
        for compressed in (False, True):
            texts = PngImagePlugin.PngInfo()
            texts.add_itxt(place, text, zip=compressed)
            yield f"{place}{' zip' if compressed else ''}", encoded(picture, "PNG", pnginfo=texts)
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Raw profile type exif", profile.replace("0", "x"))
    yield "broken profile", encoded(picture, "PNG", pnginfo=texts)
    yield (
        "another first frame",
        encoded(picture, "PNG", save_all=True, append_images=[picture.rotate(180)]),
    )


def damaged(files: list[bytes], count: int, seed: int = 0) -> Iterator[bytes]:
    """Files that are cut short or have some other bytes, mostly near their beginning."""
    random = np.random.default_rng(seed)
    for number in range(count):
        file = bytearray(files[number % len(files)])
        for _ in range(random.integers(0, 4)):
            reach = len(file) if random.random() < 0.4 else min(len(file), 300)
            file[random.integers(reach)] = random.integers(256)
        if random.random() < 0.4:
            del file[random.integers(len(file)) :]
        yield bytes(file)
