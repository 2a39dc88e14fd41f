"""COCO's classes of object size."""

from __future__ import annotations

# COCO: an object is small below 32 x 32 pixels, and large from 96 x 96 on.
SMALL_PX, LARGE_PX = 32**2, 96**2
SIZE_CLASSES = ("small", "medium", "large")


def size_class(area_px: int) -> str:
    """COCO's class of an object with so many pixels.

    >>> size_class(1023), size_class(1024), size_class(9216)
    ('small', 'medium', 'large')
    """
    return SIZE_CLASSES[(area_px >= SMALL_PX) + (area_px >= LARGE_PX)]
