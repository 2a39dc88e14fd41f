"""Masks at the size of the photo, small enough to keep many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.masks import Box, Mask, window


@dataclass(frozen=True, eq=False)
class PackedMask:
    """A mask of `size` (height, width): its bounding box, and the pixels in that box as bits.

    >>> mask = np.zeros((4, 6), bool)
    >>> mask[1:3, 2:5] = True
    >>> packed = PackedMask.of(mask)
    >>> packed.box, packed.area, bool((packed.unpack() == mask).all())
    ((2, 1, 5, 3), 6, True)
    """

    size: tuple[int, int]
    box: Box
    area: int
    bits: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, mask: Mask) -> PackedMask:
        """Pack a mask (H, W)."""
        height, width = mask.shape
        rows, columns = window(mask)
        inside = mask[rows, columns]
        box = (columns.start, rows.start, columns.stop, rows.stop)
        bits = np.packbits(inside, axis=1)
        return cls((height, width), box, int(np.count_nonzero(inside)), bits)

    def unpack(self) -> Mask:
        """Make the mask (H, W), in memory of its own."""
        mask = np.zeros(self.size, bool)
        x0, y0, x1, y1 = self.box
        mask[y0:y1, x0:x1] = np.unpackbits(self.bits, axis=1, count=x1 - x0)
        return mask


class LazyMasks(Mapping[int, Mask]):
    """Masks (H, W) by object id, each unpacked when it is read.

    >>> masks = LazyMasks({1: PackedMask.of(np.ones((2, 3), bool))})
    >>> masks, masks[1].shape
    (LazyMasks(1: 6 px), (2, 3))
    """

    def __init__(self, packed: Mapping[int, PackedMask]) -> None:
        self._packed = dict(packed)

    def __getitem__(self, object_id: int) -> Mask:
        return self._packed[object_id].unpack()

    def __iter__(self) -> Iterator[int]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    def __repr__(self) -> str:
        areas = ", ".join(f"{key}: {packed.area:,} px" for key, packed in self._packed.items())
        return f"LazyMasks({areas})"
