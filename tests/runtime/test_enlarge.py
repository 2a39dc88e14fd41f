"""One mask enlarged where it can be, against the whole of it enlarged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2lab.runtime.enlarge import Enlarged, Enlarger
from sam2lab.runtime.postprocess import restore

SIZES = st.tuples(st.integers(1, 150), st.integers(1, 150))


def blobs(seed: int, size: tuple[int, int], radius: float) -> np.ndarray:
    """Two hills of logits, 4 high, in a plain 6 deep."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    hills = []
    for _ in range(2):
        y, x = rng.random(2) * size
        hills.append(4 - np.hypot(rows - y, columns - x) / radius * 4)
    return np.maximum(np.max(hills, axis=0), -6).astype(np.float32)


def whole(part: Enlarged, size: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(size, bool)
    x, y = part.corner
    height, width = part.mask.shape
    mask[y : y + height, x : x + width] = part.mask
    return mask


@settings(max_examples=60)
@given(
    st.integers(0, 1000),
    SIZES,
    st.tuples(st.integers(2, 40), st.integers(2, 40)),
    st.sampled_from([0.5, 3.0, 60.0]),
    st.sampled_from([(0.0, 1.0), (-1.5, 0.25), (2.0, 0.0), (-7.0, 1.0)]),
)
def test_nothing_is_lost_beside_the_part_that_is_worked_out(
    seed: int,
    size: tuple[int, int],
    from_size: tuple[int, int],
    radius: float,
    cut: tuple[float, float],
) -> None:
    threshold, offset = cut
    logits = blobs(seed, from_size, radius)
    part = Enlarger(from_size, size)(logits, threshold, offset)
    full = restore(logits, size)
    # Products of another shape may add in another order: what decides by less is left open.
    close = np.abs(full - threshold) < 1e-5
    assert (whole(part, size) == (full > threshold))[~close].all()
    for counted, level in ((part.inner, threshold + offset), (part.outer, threshold - offset)):
        assert abs(counted - (full > level).sum()) <= (np.abs(full - level) < 1e-5).sum()


def test_far_from_a_small_mask_nothing_is_worked_out() -> None:
    logits = np.full((64, 64), -9, np.float32)
    logits[10:13, 20:23] = 9
    part = Enlarger((64, 64), (640, 1280))(logits, 0.0, 1.0)
    assert part.mask.size < 0.02 * 640 * 1280


def test_a_flat_mask_has_full_stability() -> None:
    part = Enlarger((4, 4), (8, 8))(np.full((4, 4), 5, np.float32), 0.0, 1.0)
    assert (part.inner, part.outer, part.stability) == (64, 64, 1)
    assert part.mask.all()


@pytest.mark.parametrize("value", [-1.0, -20.0])
def test_an_empty_mask_has_a_stability_that_is_no_number(value: float) -> None:
    part = Enlarger((4, 4), (8, 8))(np.full((4, 4), value, np.float32), 0.0, 1.0)
    assert not part.mask.any()
    assert np.isnan(part.stability)
