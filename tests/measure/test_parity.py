from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sam2lab.measure.cases import KINDS
from sam2lab.measure.parity import (
    compare_masks,
    compare_tensors,
    tensor_errors,
)
from sam2lab.runtime.engines.protocol import Decoded, Features, Float32, ModelInfo, PromptBatch
from sam2lab.runtime.segmenter import Segmenter

PHOTO = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


class Square:
    """Answers a square of 16 x 16 photo pixels at the top left, whatever is asked.

    Photos of the input size are neither enlarged nor shrunk but by the factor 4 of the low-
    resolution logits. Candidate t scores t / 10. What is added makes an engine with an error.
    """

    def __init__(
        self,
        *,
        embed_error: float = 0.0,
        logit_error: float = 0.0,
        score_error: float = 0.0,
        columns: int = 4,
        input_size: tuple[int, int] = (64, 64),
    ) -> None:
        self.info = ModelInfo("square", "nano", input_size, "random:0")
        self.key = f"square-{embed_error}-{logit_error}-{score_error}-{columns}-{input_size}"
        self.embed_error = embed_error
        self.logit_error = logit_error
        self.score_error = score_error
        self.columns = columns
        self.asked: list[PromptBatch] = []

    def encode(self, pixels: Float32) -> Features:
        count, (height, width) = len(pixels), self.info.embed_size
        # Half the values are 0 and half are 2: their standard deviation is 1.
        embed = np.zeros((count, 8, height, width), np.float32)
        embed[:, 4:] = 2.0
        return Features(
            embed + np.float32(self.embed_error),
            np.ones((count, 1, 4 * height, 4 * width), np.float32),
            np.ones((count, 2, 2 * height, 2 * width), np.float32),
        )

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        self.asked.append(prompts)
        logits = np.full((prompts.objects, 4, *self.info.mask_size), -10.0, np.float32)
        logits[..., :4, : self.columns] = 10.0
        scores = np.tile(np.arange(4, dtype=np.float32) / 10, (prompts.objects, 1))
        return Decoded(logits + np.float32(self.logit_error), scores + np.float32(self.score_error))


def test_an_engine_compared_with_itself_has_no_error() -> None:
    table = compare_tensors(Square(), Square(), [PHOTO])
    assert (table[["max_abs_error", "mean_abs_error", "relative_error"]] == 0).all(axis=None)
    assert table["cosine"].to_numpy() == pytest.approx(1.0)


def test_there_is_a_row_for_each_image_and_tensor() -> None:
    table = compare_tensors(Square(), Square(), [PHOTO, PHOTO[:40]])
    names = table[table["image"] == 0]["tensor"].tolist()
    assert names == [
        "image_embed",
        "high_res_feats_0",
        "high_res_feats_1",
        *(f"logits, token {i}" for i in range(4)),
        "scores",
    ]
    assert len(table) == 2 * len(names)


def test_a_known_error_is_found_in_its_tensor_alone() -> None:
    table = compare_tensors(Square(), Square(embed_error=0.5), [PHOTO]).set_index("tensor")
    embed = table.loc["image_embed"]
    # The tensor's standard deviation is 1, so the relative error is the absolute one.
    assert embed["max_abs_error"] == embed["mean_abs_error"] == embed["relative_error"] == 0.5
    # Half 0 and half 2, against half 0.5 and half 2.5.
    assert embed["cosine"] == pytest.approx(5 / np.sqrt(4 * 6.5))
    assert (table.drop("image_embed")["max_abs_error"] == 0).all()


@pytest.mark.parametrize(
    ("a", "b", "relative", "cosine"),
    [
        ([3.0, 3.0], [3.0, 3.0], 0.0, 1.0),
        ([3.0, 3.0], [3.0, 4.0], np.inf, 21 / np.sqrt(18 * 25)),
        ([0.0, 0.0], [0.0, 0.0], 0.0, 1.0),
        ([0.0, 0.0], [1.0, 0.0], np.inf, 0.0),
        ([1.0, -1.0], [-1.0, 1.0], 2.0, -1.0),
    ],
)
def test_tensor_errors_of_small_tensors(
    a: list[float], b: list[float], relative: float, cosine: float
) -> None:
    errors = tensor_errors(np.array(a), np.array(b))
    assert errors["relative_error"] == relative
    assert errors["cosine"] == pytest.approx(cosine)


def test_tensors_of_engines_of_different_input_sizes_are_not_compared() -> None:
    with pytest.raises(ValueError, match=r"engine_a takes \(64, 64\) and engine_b \(64, 96\)"):
        compare_tensors(Square(), Square(input_size=(64, 96)), [PHOTO])


def test_masks_of_an_engine_and_itself_are_the_same() -> None:
    table = compare_masks(Square(), Square(), [PHOTO])
    assert len(table) == len(KINDS) * 3
    assert (table["iou"] == 1).all()
    errors = ["boundary_disagreement", "score_error", "flipped_px", "flipped_share"]
    assert (table[errors] == 0).all(axis=None)


def test_flipped_pixels_are_counted_at_the_photos_size() -> None:
    # Squares of 4 x 4 and 4 x 5 low-resolution pixels; bilinear enlargement by 4 between equal
    # and opposite logits crosses zero at the edge, so the masks are 16 x 16 and 16 x 20.
    table = compare_masks(Square(), Square(columns=5), [PHOTO])
    assert (table["area_px"] == 16 * 16 - 1).all()
    assert (table["flipped_px"] == 16 * 4).all()
    assert table["flipped_share"].to_numpy() == pytest.approx(16 * 4 / 64**2)
    assert table["iou"].to_numpy() == pytest.approx((16 * 16 - 1) / (16 * 20 - 1))


def test_an_error_that_changes_no_sign_flips_no_pixel() -> None:
    table = compare_masks(Square(), Square(logit_error=1e-4, score_error=-0.05), [PHOTO])
    assert (table["iou"] == 1).all()
    assert table["score_error"].to_numpy() == pytest.approx(0.05)


def test_the_single_mask_can_be_compared_too() -> None:
    table = compare_masks(Square(), Square(), [PHOTO], multi_mask_output=False)
    assert len(table) == len(KINDS)


def test_refine_gives_each_engine_its_own_earlier_logits() -> None:
    a, b = Square(), Square(logit_error=1.0)
    compare_masks(a, b, [PHOTO], kinds=["refine"])
    for engine, inside in ((a, 10.0), (b, 11.0)):
        first, second = engine.asked
        assert first.mask_input is None
        assert first.point_labels.tolist() == [[1]]
        assert second.mask_input[0, 0, 0, 0] == inside
        assert second.point_labels.tolist() == [[1, 0]]


def test_masks_of_different_input_sizes_are_compared_at_the_photos() -> None:
    table = compare_masks(Square(), Square(input_size=(64, 96)), [PHOTO])
    assert (table["flipped_px"] > 0).all()


def test_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="images is an empty list"):
        compare_masks(Square(), Square(), [])


@pytest.mark.parametrize("compare", [compare_tensors, compare_masks])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Segmenter(Square()), "is a Segmenter; wanted its engine: pass segmenter.engine"),
        ("nano", r"is 'nano'; wanted an Engine, such as OnnxEngine\(folder\)"),
    ],
)
@pytest.mark.parametrize("name", ["engine_a", "engine_b"])
def test_other_things_than_engines_are_refused_by_name(
    compare: Callable[..., Any], wrong: Any, message: str, name: str
) -> None:
    engines = {"engine_a": Square(), "engine_b": Square()} | {name: wrong}
    with pytest.raises(ValueError, match=f"^{name} {message}"):
        compare(**engines, images=PHOTO)
