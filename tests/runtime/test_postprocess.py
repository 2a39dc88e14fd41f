"""From low-resolution logits to masks, against the original's own methods."""

from __future__ import annotations

import functools
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st

import sam2lab.reference  # noqa: F401  (makes sam2 importable)
from sam2lab.runtime.engines.protocol import Decoded
from sam2lab.runtime.postprocess import choose, clean, restore, restore_masks


def noisy(*shape: int, seed: int = 0, scale: float = 8.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32) * np.float32(scale)


def smooth(*shape: int, seed: int = 0) -> np.ndarray:
    """Logits with outlines, as a decoder makes them."""
    coarse = torch.from_numpy(noisy(*shape[:-2], 9, 9, seed=seed))
    return F.interpolate(coarse, shape[-2:], mode="bicubic").numpy()


class TestChoose:
    @staticmethod
    def original(logits: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The single-mask rule of upstream's mask decoder, as `build_sam2` sets it up."""
        from sam2.modeling.sam.mask_decoder import MaskDecoder

        decoder = SimpleNamespace(
            dynamic_multimask_stability_delta=0.05, dynamic_multimask_stability_thresh=0.98
        )
        decoder._get_stability_scores = functools.partial(
            MaskDecoder._get_stability_scores, decoder
        )
        masks, ious = MaskDecoder._dynamic_multimask_via_stability(
            decoder, torch.from_numpy(logits), torch.from_numpy(scores)
        )
        return masks.numpy(), ious.numpy()

    def agree(self, logits: np.ndarray, scores: np.ndarray) -> None:
        chosen = choose(Decoded(logits, scores), multi_mask_output=False)
        for ours, theirs in zip(chosen, self.original(logits, scores), strict=True):
            np.testing.assert_array_equal(ours, theirs)

    def test_three_masks_are_a_view_of_the_candidates(self) -> None:
        decoded = Decoded(noisy(2, 4, 8, 8), noisy(2, 4))
        chosen = choose(decoded, multi_mask_output=True)
        np.testing.assert_array_equal(chosen.logits, decoded.logits[:, 1:])
        np.testing.assert_array_equal(chosen.scores, decoded.scores[:, 1:])
        assert np.shares_memory(chosen.logits, decoded.logits)

    @pytest.mark.parametrize("scale", [0.1, 1, 100], ids=["unstable", "mixed", "stable"])
    def test_one_mask_is_the_one_upstream_picks(self, scale: float) -> None:
        self.agree(noisy(16, 4, 24, 32, scale=scale), noisy(16, 4, seed=1))

    def test_an_empty_mask_counts_as_stable(self) -> None:
        self.agree(np.full((1, 4, 8, 8), -5, np.float32), np.float32([[0.1, 0.5, 0.9, 0.7]]))

    def test_of_equal_scores_the_first_candidate_wins(self) -> None:
        logits = noisy(1, 4, 8, 8, scale=0.01)
        self.agree(logits, np.float32([[0.9, 0.5, 0.7, 0.7]]))

    # Stability 1, 0.98 (still stable: 49 of 50 pixels) and 0.96, from pixels between -delta
    # and delta; and pixels that lie on either end.
    @pytest.mark.parametrize("shaky", [0, 1, 2])
    @pytest.mark.parametrize("value", [-0.05, 0.0, 0.05])
    def test_the_limit_itself_is_treated_alike(self, shaky: int, value: float) -> None:
        logits = np.full((1, 4, 5, 10), 9, np.float32)
        logits[0, 0].flat[:shaky] = value
        self.agree(logits, np.float32([[0.1, 0.5, 0.9, 0.7]]))

    @settings(max_examples=50, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.01, 30), objects=st.integers(1, 4))
    def test_any_logits_are_treated_alike(self, seed: int, scale: float, objects: int) -> None:
        self.agree(noisy(objects, 4, 6, 9, seed=seed, scale=scale), noisy(objects, 4, seed=seed))


class TestClean:
    @staticmethod
    def components(mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What upstream's compiled extra returns, by flooding each component in turn."""
        labels, areas = (torch.zeros(mask.shape, dtype=torch.int32) for _ in range(2))
        for image in range(len(mask)):
            todo = set(map(tuple, mask[image, 0].nonzero().tolist()))
            label = 0
            while todo:
                label += 1
                edge = [todo.pop()]
                component = list(edge)
                while edge:
                    y, x = edge.pop()
                    around = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & todo
                    todo -= around
                    edge += around
                    component += around
                for y, x in component:
                    labels[image, 0, y, x] = label
                    areas[image, 0, y, x] = len(component)
        return labels, areas

    def original(
        self,
        monkeypatch: pytest.MonkeyPatch,
        logits: np.ndarray,
        threshold: float,
        hole: float,
        sprinkle: float,
    ) -> np.ndarray:
        from sam2.utils.transforms import SAM2Transforms

        monkeypatch.setattr("sam2.utils.misc.get_connected_components", self.components)
        transforms = SAM2Transforms(64, threshold, hole, sprinkle, disable_torch_jit=True)
        # At its own size, a mask passes through the interpolation unchanged.
        return transforms.postprocess_masks(torch.from_numpy(logits), logits.shape[-2:]).numpy()

    @pytest.mark.parametrize(("hole", "sprinkle"), [(0, 0), (4, 0), (0, 4), (1, 6), (7.5, 2)])
    @pytest.mark.parametrize("threshold", [0.0, -0.3, 2.0])
    def test_logits_are_cleaned_as_upstream_does(
        self, monkeypatch: pytest.MonkeyPatch, threshold: float, hole: float, sprinkle: float
    ) -> None:
        logits = noisy(2, 3, 14, 17)
        original = self.original(monkeypatch, logits, threshold, hole, sprinkle)
        np.testing.assert_array_equal(clean(logits, threshold, hole, sprinkle), original)

    def test_a_sprinkle_in_a_hole_goes_even_when_the_hole_is_filled(self) -> None:
        logits = np.full((1, 7, 7), 5, np.float32)
        logits[0, 2:5, 2:5] = -5
        logits[0, 3, 3] = 5
        cleaned = clean(logits, 0.0, max_hole_area=8, max_sprinkle_area=1)
        assert cleaned[0, 2, 2] == 10
        assert cleaned[0, 3, 3] == -10

    def test_the_input_is_left_alone(self) -> None:
        logits = noisy(1, 9, 9)
        before = logits.copy()
        clean(logits, 0.0, 5, 5)
        np.testing.assert_array_equal(logits, before)

    def test_nothing_asked_is_nothing_done(self) -> None:
        logits = noisy(1, 9, 9)
        assert clean(logits, 0.0, 0, 0) is logits


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
