"""Enlarged logits and masks against torch, and a part of a mask against the whole."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sam2lab.runtime.enlarge import Enlarged, enlarged, restore, restore_masks


def noisy(*shape: int, seed: int = 0, scale: float = 8.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32) * np.float32(scale)


def smooth(*shape: int, seed: int = 0) -> np.ndarray:
    """Logits with outlines, as a decoder makes them."""
    coarse = torch.from_numpy(noisy(*shape[:-2], 9, 9, seed=seed))
    return F.interpolate(coarse, shape[-2:], mode="bicubic").numpy()


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
    part = enlarged(logits, size, threshold, offset)
    full = restore(logits, size)
    # Products of another shape may add in another order: what decides by less is left open.
    close = np.abs(full - threshold) < 1e-5
    assert (whole(part, size) == (full > threshold))[~close].all()
    for counted, level in ((part.inner, threshold + offset), (part.outer, threshold - offset)):
        assert abs(counted - (full > level).sum()) <= (np.abs(full - level) < 1e-5).sum()


def test_far_from_a_small_mask_nothing_is_worked_out() -> None:
    logits = np.full((64, 64), -9, np.float32)
    logits[10:13, 20:23] = 9
    part = enlarged(logits, (640, 1280), 0.0, 1.0)
    assert part.mask.size < 0.02 * 640 * 1280


def test_a_flat_mask_has_full_stability() -> None:
    part = enlarged(np.full((4, 4), 5, np.float32), (8, 8), 0.0, 1.0)
    assert (part.inner, part.outer, part.stability) == (64, 64, 1)
    assert part.mask.all()


@pytest.mark.parametrize("value", [-1.0, -20.0])
def test_an_empty_mask_has_a_stability_that_is_no_number(value: float) -> None:
    part = enlarged(np.full((4, 4), value, np.float32), (8, 8), 0.0, 1.0)
    assert not part.mask.any()
    assert np.isnan(part.stability)


def interpolate(logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return F.interpolate(
        torch.from_numpy(logits), size, mode="bilinear", align_corners=False
    ).numpy()


class TestRestore:
    # torch itself differs by this much from one thread to two: which of its kernels sums the
    # four neighbours, and in which order, depends on the shape and on how the work is cut.
    TOLERANCE = 1e-6

    @pytest.mark.parametrize("masks", [(1, 1), (1, 3), (2, 4)])
    @pytest.mark.parametrize(
        "size", [(300, 451), (20, 30), (1, 50), (50, 1), (1, 1), (64, 64), (720, 30)]
    )
    def test_logits_are_resized_as_torch_does(
        self, masks: tuple[int, int], size: tuple[int, int]
    ) -> None:
        logits = noisy(*masks, 64, 64)
        restored = restore(logits, size)
        assert restored.dtype == np.float32
        np.testing.assert_allclose(
            restored,
            interpolate(logits, size),
            rtol=0,
            atol=self.TOLERANCE * np.abs(logits).max(),
        )

    def test_the_same_size_changes_nothing(self) -> None:
        logits = noisy(2, 3, 40, 70)
        np.testing.assert_array_equal(restore(logits, (40, 70)), logits)

    @pytest.mark.parametrize("lead", [(), (5,), (2, 1, 3), (0,)])
    def test_any_leading_shape_is_kept(self, lead: tuple[int, ...]) -> None:
        logits = noisy(*lead, 6, 8)
        assert restore(logits, (9, 11)).shape == (*lead, 9, 11)
        assert restore_masks(logits, (9, 11), 0.0).shape == (*lead, 9, 11)

    @settings(max_examples=100, deadline=None)
    @given(
        seed=st.integers(0, 2**32 - 1),
        size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
        low_res=st.tuples(st.integers(1, 40), st.integers(1, 40)),
        threshold=st.sampled_from([0.0, 0.5, -1.25, 30.0, -30.0]),
    )
    @example(seed=0, size=(1000, 1400), low_res=(256, 256), threshold=0.0)
    def test_masks_are_the_restored_logits_above_the_threshold(
        self, seed: int, size: tuple[int, int], low_res: tuple[int, int], threshold: float
    ) -> None:
        # Rounded, so that many logits lie on the threshold itself.
        logits = np.round(4 * noisy(2, *low_res, seed=seed)) / 4
        np.testing.assert_array_equal(
            restore_masks(logits, size, threshold), restore(logits, size) > threshold
        )

    @pytest.mark.parametrize("threshold", [0.0, 0.1, -0.1])
    def test_a_flat_mask_on_the_threshold_stays_on_its_side(self, threshold: float) -> None:
        logits = np.full((1, 20, 20), threshold, np.float32)
        np.testing.assert_array_equal(
            restore_masks(logits, (70, 90), threshold), restore(logits, (70, 90)) > threshold
        )

    @pytest.mark.parametrize("kind", [smooth, noisy])
    def test_no_pixel_flips_against_torch(self, kind: type) -> None:
        logits = kind(1, 3, 256, 256)
        size = (1500, 2300)
        flips = (restore_masks(logits, size, 0.0) != (interpolate(logits, size) > 0)).sum()
        # Ten million pixels; one may lie within a rounding (1e-6 of the logits) of zero.
        assert flips <= 1

    def test_no_array_of_floats_at_the_photos_size_is_made(self) -> None:
        logits = noisy(1, 256, 256)
        restore_masks(logits, (8, 8), 0.0)
        tracemalloc.start()
        masks = restore_masks(logits, (2000, 3000), 0.0)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # The masks and one row of them for each of 256 rows of logits, but not 4 bytes a pixel.
        assert peak < 2 * masks.nbytes
