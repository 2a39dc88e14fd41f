"""Decodes what COCO calls a segmentation: polygons, or run lengths in either form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pycocotools import mask as polygons

from sam2lab.runtime import rle
from sam2lab.runtime.masks import Mask


def decode(segmentation: list[Any] | dict[str, Any], size: tuple[int, int]) -> Mask:
    """A mask (H, W) from what COCO calls a segmentation; `size` is (height, width).

    Polygons [[x0, y0, x1, y1, ...], ...], or run lengths {"size": [H, W], "counts": ...}, a
    list or compressed text.

    >>> decode([[1, 1, 4, 1, 4, 3, 1, 3]], (4, 6)).astype(int)
    array([[0, 0, 0, 0, 0, 0],
           [0, 1, 1, 1, 0, 0],
           [0, 1, 1, 1, 0, 0],
           [0, 0, 0, 0, 0, 0]])
    """
    if isinstance(segmentation, list):
        height, width = size
        return polygons.decode(
            polygons.merge(polygons.frPyObjects(segmentation, height, width))
        ).astype(bool)
    counts = segmentation["counts"]
    runs = np.array(counts if isinstance(counts, list) else _unpacked(counts), np.int64)
    if tuple(segmentation["size"]) != size:
        raise ValueError(f"its mask is of size {segmentation['size']}, the photo of {list(size)}")
    if (runs < 0).any() or runs.sum() != math.prod(size):
        raise ValueError("its run lengths do not fill the photo")
    return rle.decode(rle.RunLengths(size, runs))


def _unpacked(text: str | bytes) -> list[int]:
    """The run lengths in COCO's compressed text.

    A number takes five bits a character, the lowest first; the sixth says that more follow, and
    the highest of the last one is its sign. From the fourth on, a number is the difference from
    the run before the last. pycocotools unpacks it too, but each time that it refuses a mask it
    loses the memory of that mask.
    """
    runs: list[int] = []
    number = shift = 0
    for character in text if isinstance(text, bytes) else text.encode("ascii"):
        bits = character - 48
        number |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number = shift = 0
    return runs
