"""From low-resolution logits to masks, against the original's own methods."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sam2lab.reference  # noqa: F401  (makes sam2 importable)
from sam2lab.runtime.engines.protocol import Decoded
from sam2lab.runtime.postprocess import choose, clean
from tests.runtime.test_enlarge import noisy


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
        """Clean as upstream's compiled extra does, by flooding each component in turn."""
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
