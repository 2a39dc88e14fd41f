"""Points and crops against the original's own functions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import sam2lab.reference  # noqa: F401  (makes sam2 importable)
from sam2lab.runtime.crops import Crop, crops, grids, point_grid


@pytest.mark.parametrize("side", [1, 2, 7, 32])
def test_points_are_those_of_the_original(side: int) -> None:
    from sam2.utils.amg import build_point_grid

    np.testing.assert_array_equal(point_grid(side), build_point_grid(side))


@pytest.mark.parametrize("downscale", [1, 2, 3])
def test_each_layer_has_the_points_of_the_original(downscale: int) -> None:
    from sam2.utils.amg import build_all_layer_point_grids

    theirs = build_all_layer_point_grids(20, 2, downscale)
    for ours, original in zip(grids(20, 3, downscale, None), theirs, strict=True):
        np.testing.assert_array_equal(ours, original)


@given(
    st.tuples(st.integers(20, 3000), st.integers(20, 4000)),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.1, 512 / 1500, 1.0]),
)
def test_crops_are_those_of_the_original(
    size: tuple[int, int], layers: int, overlap_ratio: float
) -> None:
    from sam2.utils.amg import generate_crop_boxes

    # Where the division leaves a crop without pixels the original has it all the same.
    theirs = [
        (box, layer)
        for box, layer in zip(*generate_crop_boxes(size, layers, overlap_ratio), strict=True)
        if box[0] < box[2] and box[1] < box[3]
    ]
    ours = list(crops(size, layers, overlap_ratio))
    assert [(list(crop.box), crop.layer) for crop in ours] == theirs
    assert [crop.size for crop in ours] == [(b[3] - b[1], b[2] - b[0]) for b, _ in theirs]


@given(st.tuples(st.integers(1, 5), st.integers(1, 5)), st.integers(0, 4))
def test_every_crop_of_the_smallest_photos_has_pixels(size: tuple[int, int], layers: int) -> None:
    seen = np.zeros(size, bool)
    for crop in crops(size, layers, 0.3):
        x0, y0, x1, y1 = crop.box
        assert 0 <= x0 < x1 <= size[1]
        assert 0 <= y0 < y1 <= size[0]
        seen[y0:y1, x0:x1] = crop.layer == layers
    assert seen.all()


@given(st.tuples(*[st.integers(0, 100)] * 4), st.tuples(*[st.integers(0, 100)] * 4))
def test_a_box_is_cut_off_where_the_original_says_so(
    box: tuple[int, int, int, int], crop: tuple[int, int, int, int]
) -> None:
    from sam2.utils.amg import is_box_near_crop_edge

    inside = [box[0] - crop[0], box[1] - crop[1], box[2] - crop[0], box[3] - crop[1]]
    theirs = is_box_near_crop_edge(torch.tensor([inside]), list(crop), [0, 0, 100, 90])
    assert Crop(crop, 1).cuts(box, (90, 100)) == theirs.item()
