"""Run lengths against pycocotools and the original's own encoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

import sam2lab.reference  # noqa: F401  (makes sam2 importable)
from sam2lab.runtime.rle import decode, encode


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    """Speckled, striped, empty and full masks of odd sizes, 1 x N and N x 1 among them."""
    height, width = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    kind = draw(st.sampled_from(["speckled", "rows", "columns", "empty", "full"]))
    mask = np.zeros((height, width), bool)
    if kind == "speckled":
        seed = draw(st.integers(0, 10_000))
        mask = np.random.default_rng(seed).random((height, width)) < draw(st.floats(0, 1))
    elif kind == "rows":
        mask[draw(st.integers(0, height - 1)) :] = True
    elif kind == "columns":
        mask[:, draw(st.integers(0, width - 1)) :] = True
    elif kind == "full":
        mask[:] = True
    return mask


@given(masks())
def test_counts_are_those_of_the_original(mask: np.ndarray) -> None:
    from sam2.utils.amg import mask_to_rle_pytorch

    (theirs,) = mask_to_rle_pytorch(torch.from_numpy(mask)[None])
    assert encode(mask).uncompressed() == theirs


@given(masks())
def test_what_was_encoded_is_decoded(mask: np.ndarray) -> None:
    runs = encode(mask)
    np.testing.assert_array_equal(decode(runs), mask)
    assert runs.area == mask.sum()


@given(masks())
def test_pycocotools_reads_and_writes_the_compressed_form(mask: np.ndarray) -> None:
    compressed = encode(mask).compressed()
    theirs = coco.encode(np.asfortranarray(mask.view(np.uint8)))
    assert compressed == {"size": theirs["size"], "counts": theirs["counts"].decode()}
    np.testing.assert_array_equal(coco.decode(compressed), mask)


@given(masks(), st.tuples(*[st.integers(0, 3)] * 4))
def test_a_part_stands_for_the_mask_that_it_lies_in(
    part: np.ndarray, margins: tuple[int, int, int, int]
) -> None:
    left, top, right, bottom = margins
    mask = np.pad(part, ((top, bottom), (left, right)))
    runs = encode(part, corner=(left, top), size=mask.shape)
    assert runs.uncompressed() == encode(mask).uncompressed()
    np.testing.assert_array_equal(decode(runs), mask)


@pytest.mark.parametrize(("value", "counts"), [(False, [6]), (True, [0, 6])])
def test_an_empty_and_a_full_mask_are_one_run(value: bool, counts: list[int]) -> None:
    assert encode(np.full((2, 3), value)).counts.tolist() == counts
