"""Masks at the size of the photo, small enough to keep many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PackedMask:
    """A mask of `size` (height, width), its bounding box kept as bits.

    `box` is (x0, y0, x1, y1) with the ends outside, all zero for an empty mask.

    >>> mask = np.zeros((4, 6), bool)
    >>> mask[1:3, 2:5] = True
    >>> packed = PackedMask.of(mask)
    >>> packed.box, packed.area, bool((packed.unpack() == mask).all())
    ((2, 1, 5, 3), 6, True)
    """

    size: tuple[int, int]
    box: tuple[int, int, int, int]
    area: int
    bits: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, mask: Mask) -> PackedMask:
        """Pack a mask (H, W)."""
        height, width = mask.shape
        rows = np.flatnonzero(mask.any(axis=1))
        if not len(rows):
            return cls((height, width), (0, 0, 0, 0), 0, np.zeros((0, 0), np.uint8))
        y0, y1 = int(rows[0]), int(rows[-1]) + 1
        columns = np.flatnonzero(mask[y0:y1].any(axis=0))
        x0, x1 = int(columns[0]), int(columns[-1]) + 1
        inside = mask[y0:y1, x0:x1]
        area = int(np.count_nonzero(inside))
        return cls((height, width), (x0, y0, x1, y1), area, np.packbits(inside, axis=1))

    @property
    def crop(self) -> Mask:
        """The mask within its box, (y1 - y0, x1 - x0)."""
        x0, _, x1, _ = self.box
        return np.unpackbits(self.bits, axis=1, count=x1 - x0).astype(bool)

    def unpack(self) -> Mask:
        """The mask, (H, W), in memory of its own."""
        mask = np.zeros(self.size, bool)
        x0, y0, x1, y1 = self.box
        mask[y0:y1, x0:x1] = self.crop
        return mask


class LazyMasks(Mapping[int, Mask]):
    """Masks (H, W) by object id, each unpacked when it is asked for.

    >>> import numpy as np
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
