"""Masks of a frame as one PNG with the palette of DAVIS, which tools for videos read."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2lab.runtime.engines.protocol import Float32
from sam2lab.runtime.masks import Masks

# uint8 (H, W): the number of the object at each pixel, 0 for none.
Labels = npt.NDArray[np.uint8]


def _palette() -> list[int]:
    """256 colours, R, G, B after one another: bits of a number are spread over the three.

    >>> _palette()[:12]
    [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]
    """
    number = np.arange(256)
    colours = np.zeros((256, 3), int)
    for place in range(8):
        for channel in range(3):
            colours[:, channel] |= (number >> (3 * place + channel) & 1) << (7 - place)
    return colours.ravel().tolist()


PALETTE = _palette()


def label_map(masks: Masks | Float32, object_ids: Sequence[Any]) -> Labels:
    """Join the masks (N, H, W) of one frame to one map of their objects' ids, 1 to 255.

    Of logits, the highest wins where objects overlap, and only above 0. Of boolean masks, the
    first wins.

    >>> label_map(np.float32([[[1, 2, -1]], [[2, 1, -2]]]), [7, 3]).tolist()
    [[3, 7, 0]]
    """
    ids = [int(each) for each in object_ids]
    if len(ids) != len(masks) or len(set(ids)) < len(ids):
        raise ValueError(f"object_ids is {ids} for {len(masks)} masks; wanted one id for each mask")
    if not all(1 <= each <= 255 for each in ids):
        raise ValueError(
            f"object_ids is {ids}; a DAVIS PNG holds ids from 1 to 255: number the objects anew"
        )
    if not ids:
        return np.zeros(masks.shape[1:], np.uint8)
    best = masks.argmax(axis=0)
    there = np.take_along_axis(masks, best[None], axis=0)[0] > 0
    return np.where(there, np.array(ids, np.uint8)[best], np.uint8(0))


def as_png(labels: Labels) -> bytes:
    """The bytes of a PNG of 8 bits a pixel, whose value is the object's id.

    >>> Image.open(io.BytesIO(as_png(np.uint8([[0, 2]])))).convert("RGB").getpixel((1, 0))
    (0, 128, 0)
    """
    image = Image.fromarray(labels)
    image.putpalette(PALETTE)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
