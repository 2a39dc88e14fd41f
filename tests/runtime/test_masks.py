"""The box of a mask against the original's function."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import sam2lab.reference  # noqa: F401  (makes sam2 importable)
from sam2lab.runtime.masks import bounding_box, window


@given(arrays.arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 6))))
def test_a_mask_has_the_box_that_the_original_gives_it(mask: np.ndarray) -> None:
    from sam2.utils.amg import batched_mask_to_box

    x0, y0, x1, y1 = bounding_box(mask)
    # The original's ends lie inside, and an empty mask's are 0.
    ours = [x0, y0, x1 - 1, y1 - 1] if mask.any() else [0, 0, 0, 0]
    assert ours == batched_mask_to_box(torch.from_numpy(mask)[None])[0].tolist()


@given(arrays.arrays(bool, st.tuples(st.integers(0, 6), st.integers(0, 6))))
def test_the_window_holds_the_whole_mask(mask: np.ndarray) -> None:
    assert mask[window(mask)].sum() == mask.sum()
