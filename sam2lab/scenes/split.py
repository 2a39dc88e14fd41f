"""Decides which photos and pictures training never reads, so that accuracy is measured on those."""

from __future__ import annotations

import hashlib
from operator import index

ONE_IN = 5


def held_out(name: int | str) -> bool:
    """Whether a photo (by its COCO image id) or a picture (by its file name) is kept from training.

    One in five is. A hash chooses, so the choice is the same on every machine and does not
    depend on other files in the folder. A file name counts by its `family`: variants of a
    picture stay together.

    >>> [image_id for image_id in range(10) if held_out(image_id)]
    [0, 7, 8, 9]
    >>> held_out("1f44b-1f3fb.webp") == held_out("1f44b-1f3ff.png") == held_out("1f44b")
    True
    """
    kept = family(name) if isinstance(name, str) else index(name)
    digest = hashlib.sha256(str(kept).encode()).digest()
    return int.from_bytes(digest[:8], "big") % ONE_IN == 0


def family(name: str) -> str:
    """The part of a file name that all variants of a picture share: up to the first "-" or ".".

    >>> family("1f44b-1f3fb.webp")
    '1f44b'
    """
    return name.partition(".")[0].partition("-")[0]
