"""Packed masks give the masks back that they were made of."""

from __future__ import annotations

import numpy as np
import pytest

from sam2lab.runtime.masks import bounding_box
from sam2lab.widgets.session.packed import PackedMask


@pytest.mark.parametrize(
    "mask",
    [
        np.zeros((7, 13), bool),
        np.ones((7, 13), bool),
        np.eye(7, 13, dtype=bool),
        np.random.default_rng(0).random((40, 61)) > 0.9,
    ],
)
def test_a_packed_mask_is_the_mask(mask: np.ndarray) -> None:
    packed = PackedMask.of(mask)
    assert np.array_equal(packed.unpack(), mask)
    assert packed.area == mask.sum()
    assert packed.box == bounding_box(mask)
    assert packed.bits.nbytes <= mask.size // 8 + len(mask)
