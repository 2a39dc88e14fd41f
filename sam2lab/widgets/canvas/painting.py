"""Encodes photos and masks as the few bytes that a browser shows: JPEG, and PNG of four colours."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2lab.runtime.images import RGB
from sam2lab.widgets.canvas.viewport import Viewport
from sam2lab.widgets.session.packed import PackedMask

JPEG_QUALITY = 92
# Up to this many pixels a photo is sent as PNG: that is cheap, and enlarged pixels keep their
# colour.
LOSSLESS_PIXELS = 256 * 256
OUTLINE_PX = 2
# zlib's Z_RLE: a mask's PNG is smaller with it, and takes a third to three quarters of the time.
RUN_LENGTHS = 3

# The values of pixels in a painted mask.
NOTHING, FILL, OUTLINE = range(3)


class Painted(NamedTuple):
    """The bytes of a picture, and the place of its top left corner on the canvas.

    The canvas draws it enlarged by `scale`.
    """

    data: bytes
    x: float
    y: float
    scale: float = 1.0


class Paint(NamedTuple):
    """How a mask is shown: `colour` as #rrggbb, `opacity` of its inside from 0 to 1."""

    colour: str
    opacity: float


def photo(rgb: RGB, view: Viewport) -> Painted:
    """Encode the visible part of a photo (H, W, 3), with no more pixels than the canvas shows."""
    x0, y0, x1, y1 = view.visible
    part = rgb[y0:y1, x0:x1]
    if part.dtype != np.uint8:
        part = np.rint(255 * part).astype(np.uint8)
    picture = Image.fromarray(part)
    scale = view.scale
    if scale < 1:
        size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
        picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        scale = 1.0
    buffer = io.BytesIO()
    if picture.width * picture.height <= LOSSLESS_PIXELS:
        picture.save(buffer, "PNG", compress_level=1)
    else:
        picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return Painted(buffer.getvalue(), *view.to_canvas(x0, y0), scale)


def mask(packed: PackedMask, view: Viewport, paint: Paint) -> Painted | None:
    """Encode the visible part of a mask: filled, with an outline of the same width at any zoom.

    The PNG has two bits per pixel and is cropped to the visible part of the mask's box. If that
    is empty, return None.
    """
    seen = sample(packed, view)
    if seen is None:
        return None
    inside, x, y = seen
    return Painted(_png(_with_outline(inside), paint), x, y)


def sample(packed: PackedMask, view: Viewport) -> tuple[npt.NDArray[np.bool_], int, int] | None:
    """Sample a mask's box at the resolution of the canvas; return it and its corner (x, y) there.

    Around it is an empty margin as wide as an outline, except where the canvas ends. If the box
    is out of sight, return None.
    """
    x0, y0, x1, y1 = packed.box
    across = _span(x0, x1, view.left, view.scale, view.size[1])
    down = _span(y0, y1, view.top, view.scale, view.size[0])
    if packed.area == 0 or across is None or down is None:
        return None
    columns, rows = _under(across, view.left, view.scale), _under(down, view.top, view.scale)
    # Rows are picked while they are bits, so that a large mask is never unpacked as a whole.
    wanted = np.unpackbits(packed.bits[np.clip(rows - y0, 0, y1 - y0 - 1)], axis=1, count=x1 - x0)
    # Indexing would lay the result out column by column in memory, and what follows reads rows.
    inside = np.take(wanted, np.clip(columns - x0, 0, x1 - x0 - 1), axis=1).view(bool)
    inside[(rows < y0) | (rows >= y1)] = False
    inside[:, (columns < x0) | (columns >= x1)] = False
    return inside, across[0], down[0]


def small(rgb: RGB, size: tuple[int, int]) -> tuple[npt.NDArray[np.uint8], Viewport]:
    """Resize a whole photo to at most (height, width); return it and how it lies there."""
    scale = min(side / length for side, length in zip(size, rgb.shape[:2], strict=True))
    height, width = (max(1, round(scale * length)) for length in rgb.shape[:2])
    with Image.open(io.BytesIO(photo(rgb, Viewport.fitted(rgb.shape[:2], size)).data)) as opened:
        resized = np.asarray(opened.convert("RGB").resize((width, height)))
    return resized, Viewport.fitted((rgb.shape[0], rgb.shape[1]), (height, width))


def thumbnail(
    resized: npt.NDArray[np.uint8], view: Viewport, packed: PackedMask, paint: Paint
) -> bytes:
    """Encode what `small` returned, with a mask over it, as a JPEG."""
    shown = resized.copy()
    seen = sample(packed, view)
    if seen is not None:
        inside, x, y = seen
        part = shown[y : y + inside.shape[0], x : x + inside.shape[1]]
        mixed = (1 - paint.opacity) * part[inside] + paint.opacity * np.array(rgb_of(paint.colour))
        part[inside] = np.rint(mixed).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(shown).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def rgb_of(colour: str) -> tuple[int, int, int]:
    """Split a colour into three numbers.

    >>> rgb_of("#e69f00")
    (230, 159, 0)
    """
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue


def _span(low: int, high: int, start: float, scale: float, most: int) -> tuple[int, int] | None:
    """Return the part of a canvas side that a box and its outline cover, None if out of sight."""
    first = max(0, int(np.floor((low - start) * scale)) - OUTLINE_PX)
    last = min(most, int(np.ceil((high - start) * scale)) + OUTLINE_PX)
    return (first, last) if first < last else None


def _under(span: tuple[int, int], start: float, scale: float) -> npt.NDArray[np.int64]:
    """Return the photo's pixel under the centre of each canvas pixel of a span."""
    return np.floor((np.arange(*span) + 0.5) / scale + start).astype(np.int64)


def _with_outline(inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Mark the inside FILL, a line along its edge OUTLINE and the rest NOTHING.

    The end of the array is where the canvas ends, not an edge of the object.
    """
    core = inside
    for _ in range(OUTLINE_PX):
        thinner = core.copy()
        thinner[1:] &= core[:-1]
        thinner[:-1] &= core[1:]
        thinner[:, 1:] &= core[:, :-1]
        thinner[:, :-1] &= core[:, 1:]
        core = thinner
    return OUTLINE * inside.view(np.uint8) - (OUTLINE - FILL) * core.view(np.uint8)


def _png(painted: npt.NDArray[np.uint8], paint: Paint) -> bytes:
    picture = Image.fromarray(painted)
    picture.putpalette([0, 0, 0, *2 * rgb_of(paint.colour)])
    buffer = io.BytesIO()
    alpha = bytes((0, round(255 * paint.opacity), 255))
    picture.save(
        buffer, "PNG", bits=2, transparency=alpha, compress_level=1, compress_type=RUN_LENGTHS
    )
    return buffer.getvalue()
