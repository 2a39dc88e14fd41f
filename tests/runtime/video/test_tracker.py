"""Single steps beside the functions of upstream that do the same."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sam2.modeling.sam2_base import SAM2Base
from sam2.utils import misc
from scipy import ndimage

from sam2lab.runtime.engines.protocol import Features, PromptBatch
from sam2lab.runtime.video.protocol import DecodedObjects
from sam2lab.runtime.video.state import FrameResult
from sam2lab.runtime.video.tracker import Tracker
from tests.runtime.video.fake import C, FakeVideoEngine


def areas(masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What sam2's compiled extra gives: labels of 8-connected parts, and the part's area."""
    labels, _ = ndimage.label(masks[0, 0].numpy(), np.ones((3, 3)))
    counts = np.where(labels > 0, np.bincount(labels.ravel())[labels], 0)
    return torch.from_numpy(labels[None, None]), torch.from_numpy(counts[None, None])


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.floats(0.2, 0.8))
@settings(max_examples=20)
def test_fills_the_holes_that_upstream_fills(seed: int, area: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    logits = (rng.random((1, 1, 12, 14)) - share).astype(np.float32)
    with mock.patch.object(misc, "get_connected_components", areas):
        wanted = misc.fill_holes_in_mask_scores(torch.from_numpy(logits), area).numpy()
    engine = FakeVideoEngine()
    np.testing.assert_array_equal(Tracker(engine, engine.video, area)._filled(logits), wanted)


@pytest.mark.parametrize("in_sam", [True, False])
@pytest.mark.parametrize("tracking", [True, False])
@pytest.mark.parametrize("least", [0, 1])
@pytest.mark.parametrize("most", [1, 2])
def test_asks_for_candidates_where_upstream_does(
    in_sam: bool, tracking: bool, least: int, most: int
) -> None:
    how = {
        "multimask_output_in_sam": in_sam,
        "multimask_output_for_tracking": tracking,
        "multimask_min_pt_num": least,
        "multimask_max_pt_num": most,
    }
    engine = FakeVideoEngine(**how)
    for labels in ([], [1], [2, 3], [0, 1, 1]):
        given_points = {"point_labels": torch.zeros(1, len(labels))} if labels else None
        for is_initial in (True, False):
            wanted = SAM2Base._use_multimask(SimpleNamespace(**how), is_initial, given_points)
            # "No points" is one that is none.
            asked = np.array([labels or [-1]], np.float32)
            got = Tracker(engine, engine.video, 0)._wants_candidates(asked, is_initial)
            assert got == wanted


def test_points_to_a_mask_by_upstreams_convolution() -> None:
    rng = np.random.default_rng(0)
    kernel, bias = rng.standard_normal(16).astype(np.float32), 0.25
    engine = FakeVideoEngine(mask_downsample=tuple(kernel.tolist()), mask_downsample_bias=bias)
    asked = []
    answer = DecodedObjects(
        *(np.ones(shape, np.float32) for shape in [(1, 4, 16, 16), (1, 4)]),
        np.ones((1, 1), np.float32),
        rng.random((1, 4, C), np.float32),
    )
    embeds = []

    def decode(features: Features, prompts: PromptBatch) -> DecodedObjects:
        asked.append(prompts)
        embeds.append(features.image_embed)
        return answer

    mask = rng.random((64, 64)) > 0.5
    features = engine.encode(rng.random((1, 3, 64, 64), np.float32))
    with mock.patch.object(engine, "decode_objects", decode):
        result = Tracker(engine, engine.video, 0).from_mask(features, mask)
    pixels = torch.from_numpy(mask.astype(np.float32))[None, None]
    weights = torch.from_numpy(kernel.reshape(1, 1, 4, 4))
    wanted = F.conv2d(pixels, weights, torch.tensor([bias]), stride=4).numpy()
    # Sums of 16 numbers near 1, in another order.
    np.testing.assert_allclose(asked[0].mask_input, wanted, atol=1e-5)
    assert asked[0].point_labels.tolist() == [[-1]]
    # `no_mem_embed` is taken out again; the fake adds 0.5 to its last channel.
    np.testing.assert_array_equal(embeds[0][:, -1], 0)
    np.testing.assert_array_equal(result.pointer, answer.pointers[0, 0])
    given_logits = F.interpolate(
        20 * pixels - 10, size=(16, 16), mode="bilinear", antialias=True, align_corners=False
    )
    # Weighted means of +-10 in float32.
    np.testing.assert_allclose(result.logits, given_logits.numpy(), atol=1e-5)


def test_clamps_the_logits_that_points_correct() -> None:
    engine = FakeVideoEngine()
    features = engine.encode(np.zeros((1, 3, 64, 64), np.float32))
    prompts = PromptBatch(np.zeros((1, 1, 2), np.float32), np.ones((1, 1), np.float32))
    absent = np.full((1, 1, 16, 16), -1024, np.float32)
    with mock.patch.object(engine, "decode_objects", wraps=engine.decode_objects) as decode:
        result = Tracker(engine, engine.video, 0).from_points(features, prompts, None, absent)
    assert decode.call_args.args[1].mask_input.min() == -32
    assert isinstance(result, FrameResult)
