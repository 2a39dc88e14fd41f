"""The exported graphs compute what the original's own calls do, tensor by tensor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.exporting import Arrays, Export, Exported, export_anew

# float32 rounding leaves about 5e-6 of a tensor's standard deviation.
CLOSE = 1e-4

NANO = {"nano 512": ("nano", None), "nano 208x336": ("nano", (208, 336))}


@pytest.fixture(params=NANO.values(), ids=NANO)
def nano(exported: Export, request: pytest.FixtureRequest) -> Exported:
    """nano at its own size, and at an odd multiple of 16 that is not square."""
    return exported(*request.param)


@torch.no_grad()
def original_encode(module: Any, pixels: np.ndarray) -> Arrays:
    """Pixels (B, 3, H, W) → high_res_feats_0, high_res_feats_1, image_embed."""
    backbone = module.forward_image(torch.from_numpy(pixels))
    _, flat, _, sizes = module._prepare_backbone_features(backbone)
    if module.directly_add_no_mem_embed:
        flat[-1] = flat[-1] + module.no_mem_embed
    maps = (
        level.permute(1, 2, 0).reshape(len(pixels), -1, *size)
        for level, size in zip(flat, sizes, strict=True)
    )
    return tuple(level.numpy() for level in maps)


@torch.no_grad()
def original_decode(
    module: Any,
    features: Sequence[np.ndarray],
    coords: np.ndarray,
    labels: np.ndarray,
    mask: np.ndarray | None = None,
) -> Arrays:
    """Features in `original_encode`'s order → logits and scores of all tokens."""
    fine, middle, embed = map(torch.from_numpy, features)
    points = (torch.from_numpy(coords), torch.from_numpy(labels)) if coords.shape[1] else None
    masks = None if mask is None else torch.from_numpy(mask)
    sparse, dense = module.sam_prompt_encoder(points=points, boxes=None, masks=masks)
    logits, scores, _, _ = module.sam_mask_decoder.predict_masks(
        image_embeddings=embed,
        image_pe=module.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        repeat_image=len(sparse) > len(embed),
        high_res_features=[fine, middle],
    )
    return logits.numpy(), scores.numpy()


def prompts(
    case: Exported, objects: int, points: int, masks: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Random points of every label (clicks, box corners, not a point), and logits to refine."""
    rng = np.random.default_rng(0)
    height, width = case.model.info.input_size
    coords = rng.uniform(0, 1, (objects, points, 2)) * (width, height)
    labels = rng.integers(-1, 4, (objects, points))
    mask = rng.normal(0, 10, (masks, 1, *case.model.info.mask_size)) if masks else None
    return (
        coords.astype(np.float32),
        labels.astype(np.float32),
        None if mask is None else mask.astype(np.float32),
    )


def assert_close(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= CLOSE * wanted.std()


def assert_same_answer(found: Arrays, wanted: Arrays) -> None:
    """Logits as close as features, each token's mask the same for 999 pixels of 1000."""
    assert_close(found[0], wanted[0])
    # A score is a sigmoid's value, in [0, 1]: absolute, since one token's barely vary.
    np.testing.assert_allclose(found[1], wanted[1], rtol=0, atol=1e-5)
    for token in range(4):
        a, b = found[0][:, token] > 0, wanted[0][:, token] > 0
        assert np.count_nonzero(a & b) >= 0.999 * np.count_nonzero(a | b)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_the_encoder_is_the_original(nano: Exported, batch: int) -> None:
    pixels = nano.pixels(batch)
    wanted = original_encode(nano.model.module, pixels)
    for found, tensor in zip(nano.encode(pixels), wanted, strict=True):
        assert_close(found, tensor)


@pytest.mark.parametrize(("objects", "points"), [(1, 1), (1, 9), (2, 3), (5, 1), (5, 9), (64, 2)])
def test_the_decoder_answers_any_number_of_objects_and_points(
    nano: Exported, objects: int, points: int
) -> None:
    features = nano.encode(nano.pixels())
    coords, labels, _ = prompts(nano, objects, points)
    wanted = original_decode(nano.model.module, features, coords, labels)
    assert_same_answer(nano.decode(features, coords, labels), wanted)


@pytest.mark.parametrize("objects", [1, 2, 5])
@pytest.mark.parametrize("one_mask_for_all", [True, False])
@pytest.mark.parametrize("flag_per_object", [True, False])
def test_a_mask_is_refined_for_one_object_or_for_each(
    nano: Exported, objects: int, one_mask_for_all: bool, flag_per_object: bool
) -> None:
    features = nano.encode(nano.pixels())
    coords, labels, mask = prompts(nano, objects, 2, 1 if one_mask_for_all else objects)
    has_mask = np.ones(objects if flag_per_object else 1, np.float32)
    wanted = original_decode(nano.model.module, features, coords, labels, mask)
    assert_same_answer(nano.decode(features, coords, labels, mask, has_mask), wanted)


def test_a_flag_for_each_object_says_whose_mask_counts(nano: Exported) -> None:
    features = nano.encode(nano.pixels())
    coords, labels, mask = prompts(nano, 2, 1, 2)
    logits, scores = nano.decode(features, coords, labels, mask, np.array([1, 0], np.float32))
    module = nano.model.module
    for found, wanted in zip(
        ((logits[:1], scores[:1]), (logits[1:], scores[1:])),
        (
            original_decode(module, features, coords[:1], labels[:1], mask[:1]),
            original_decode(module, features, coords[1:], labels[1:]),
        ),
        strict=True,
    ):
        assert_same_answer(found, wanted)


def test_a_mask_alone_needs_no_point_and_gets_no_padding(nano: Exported) -> None:
    features = nano.encode(nano.pixels())
    coords, labels, mask = prompts(nano, 1, 0, 1)
    wanted = original_decode(nano.model.module, features, coords, labels, mask)
    assert_same_answer(nano.decode(features, coords, labels, mask), wanted)


def test_every_object_may_have_an_image_of_its_own(nano: Exported) -> None:
    features = nano.encode(nano.pixels(3))
    coords, labels, _ = prompts(nano, 3, 2)
    wanted = original_decode(nano.model.module, features, coords, labels)
    assert_same_answer(nano.decode(features, coords, labels), wanted)


# 720x1280 is computed in more bands than tiny at 1024, and else as 208x336.
@pytest.mark.parametrize(
    "input_size", [(272, 64), pytest.param((720, 1280), marks=pytest.mark.slow)]
)
def test_other_sizes_are_the_same_model_too(exported: Export, input_size: tuple[int, int]) -> None:
    """272 = 17 * 16 leaves a row alone in its window; 64 is the smallest side there is."""
    case = exported("nano", input_size, memory=False)
    pixels = case.pixels()
    features = original_encode(case.model.module, pixels)
    for found, wanted in zip(case.encode(pixels), features, strict=True):
        assert_close(found, wanted)
    coords, labels, mask = prompts(case, 2, 3, 1)
    wanted = original_decode(case.model.module, features, coords, labels, mask)
    assert_same_answer(case.decode(features, coords, labels, mask), wanted)


def check_at_full_size(case: Exported) -> None:
    pixels = case.pixels()
    features = original_encode(case.model.module, pixels)
    for found, wanted in zip(case.encode(pixels), features, strict=True):
        assert_close(found, wanted)
    coords, labels, mask = prompts(case, 2, 3, 2)
    for given in (None, mask):
        wanted = original_decode(case.model.module, features, coords, labels, given)
        assert_same_answer(case.decode(features, coords, labels, given), wanted)


def test_tiny_is_the_same_model(exported: Export) -> None:
    check_at_full_size(exported("tiny", memory=False))


@pytest.mark.slow
@pytest.mark.parametrize("size", ["small", "base_plus", "large"])
def test_the_bigger_sizes_are_the_same_models(tmp_path: Path, size: str) -> None:
    # Not kept for other tests: together they fill the memory of a machine that each fits into.
    check_at_full_size(export_anew(tmp_path / size, size))


def test_half_precision_takes_and_gives_float32(exported: Export) -> None:
    half = exported("nano", None, "fp16")
    for session in (half.encoder, half.decoder):
        for tensor in (*session.get_inputs(), *session.get_outputs()):
            assert tensor.type == "tensor(float)"


def test_half_precision_is_nearly_the_same_model(exported: Export) -> None:
    """Ten bits of mantissa: 1e-3 a value, which seven blocks add up to 5e-3 of the spread."""
    half, full = exported("nano", None, "fp16"), exported("nano")
    pixels = full.pixels()
    features = full.encode(pixels)
    for found, wanted in zip(half.encode(pixels), features, strict=True):
        assert np.abs(found - wanted).max() < 2e-2 * wanted.std()
    coords, labels, mask = prompts(full, 3, 3, 1)
    logits, scores = half.decode(features, coords, labels, mask)
    wanted_logits, wanted_scores = full.decode(features, coords, labels, mask)
    assert np.abs(logits - wanted_logits).max() < 3e-2 * wanted_logits.std()
    assert np.abs(scores - wanted_scores).max() < 1e-2
    a, b = logits > 0, wanted_logits > 0
    assert np.count_nonzero(a & b) > 0.99 * np.count_nonzero(a | b)


def test_half_precision_still_tells_neighbouring_pixels_apart(exported: Export) -> None:
    """Beyond 1024 float16 knows whole pixels only; a click half a pixel on must move the answer.

    Compared with float32's answer to the same two clicks: the step between them has the right
    direction and length, which a rounded coordinate's has not.
    """
    half = exported("nano", (64, 1280), "fp16", memory=False)
    features = half.encode(half.pixels())
    labels = np.ones((1, 1), np.float32)
    clicks = [np.array([[[x, 30]]], np.float32) for x in (1270.0, 1270.5)]
    here, there = (half.decode(features, click, labels)[0] for click in clicks)
    wanted_here, wanted_there = (
        original_decode(half.model.module, features, click, labels)[0] for click in clicks
    )
    step, wanted = (there - here).ravel(), (wanted_there - wanted_here).ravel()
    assert step @ wanted > 0.5 * (wanted @ wanted)
