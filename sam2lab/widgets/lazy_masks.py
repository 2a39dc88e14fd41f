"""Masks that take no memory until somebody looks at one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sam2lab.widgets.packed import Mask, PackedMask


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
