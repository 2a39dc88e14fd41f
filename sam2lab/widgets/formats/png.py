"""PNG files: a mask or a cut-out for each object, or one label map for all."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2lab.runtime.images import eight_bit
from sam2lab.runtime.masks import window
from sam2lab.widgets.formats.annotated import AnnotatedPhoto, Files, as_json, safe_name


def masks(annotated: AnnotatedPhoto) -> Files:
    """Make a grey PNG for each object, 255 on it and 0 elsewhere; overlaps are kept."""
    return {
        f"{annotated.stem}_{number}_{safe_name(each.name)}.png": as_png(
            each.mask.astype(np.uint8) * np.uint8(255)
        )
        for number, each in enumerate(annotated.objects, 1)
    }


def cutouts(annotated: AnnotatedPhoto) -> Files:
    """Make an RGBA PNG for each object, cropped to its box and transparent around it."""
    rgb = eight_bit(annotated.photo)
    files = {}
    for number, each in enumerate(annotated.objects, 1):
        part = window(each.mask)
        alpha = each.mask[part].astype(np.uint8) * np.uint8(255)
        # Transparent pixels are black, so that they hide nothing of the photo.
        colour = rgb[part] * each.mask[part][..., None]
        name = f"{annotated.stem}_{number}_{safe_name(each.name)}_cutout.png"
        files[name] = as_png(np.dstack([colour, alpha]))
    return files


def label_map(annotated: AnnotatedPhoto) -> Files:
    """Make one grey PNG, 0 for no object and n for the n-th, and a JSON that names each n.

    Where objects overlap, the later one wins. The PNG has 8 bits, or 16 for more than 255
    objects.
    """
    count = len(annotated.objects)
    if count > 65535:
        raise ValueError(f"there are {count} objects; a label map has room for 65535: take 'masks'")
    values = np.zeros(annotated.size, np.uint8 if count < 256 else np.uint16)
    for number, each in enumerate(annotated.objects, 1):
        values[each.mask] = number
    names = {str(number): each.name for number, each in enumerate(annotated.objects, 1)}
    return {
        f"{annotated.stem}_labels.png": as_png(values),
        f"{annotated.stem}_labels.json": as_json(names),
    }


def as_png(pixels: npt.NDArray[Any]) -> bytes:
    """The bytes of a PNG file of 8-bit grey, RGB or RGBA pixels, or of 16-bit grey ones.

    >>> image = Image.open(io.BytesIO(as_png(np.full((2, 3), 300, np.uint16))))
    >>> image.size, image.getpixel((0, 0))
    ((3, 2), 300)
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()
