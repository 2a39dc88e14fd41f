"""Figures of parity show every tensor, kind of prompt and layer, and each flipped pixel."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sam2lab import plots

TENSORS = pd.DataFrame(
    {
        "image": [0, 0, 0, 1, 1, 1],
        "tensor": ["image_embed", "logits, token 0", "scores"] * 2,
        "relative_error": [2e-6, 0.0, 3e-5, 4e-6, 0.0, 1e-5],
    }
)
MASKS = pd.DataFrame(
    {
        "kind": ["1 point"] * 3 + ["box"] * 3,
        "iou": [1.0, 0.9, 0.95, 1.0, 1.0, 0.99],
    }
)
STAGES = pd.DataFrame(
    {
        "layer": ["pixels", "blocks.0", "blocks.1", "logits"],
        "part": ["photo", "encoder", "encoder", "decoder"],
        "relative_error": [0.0, 1e-6, 0.3, np.inf],
        "threshold": 1e-3,
        "above": [False, False, True, True],
    }
)
PHOTO = np.full((40, 60, 3), 128, np.uint8)


def block(rows: int, columns: int) -> np.ndarray:
    mask = np.zeros((40, 60), bool)
    mask[10 : 10 + rows, 10 : 10 + columns] = True
    return mask


def test_there_is_a_bar_for_each_tensor_as_long_as_its_worst_error() -> None:
    (axes,) = plots.tensor_errors(TENSORS).axes
    (bars,) = axes.containers
    assert [bar.get_width() for bar in bars] == [4e-6, 0.0, 3e-5]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["image_embed", "logits, token 0", "scores"]


def test_an_error_of_zero_is_called_exact() -> None:
    (axes,) = plots.tensor_errors(TENSORS).axes
    assert [text.get_text() for text in axes.texts] == ["4.0e-06", "0 (exact)", "3.0e-05"]


def test_errors_that_are_all_zero_can_be_drawn() -> None:
    plots.tensor_errors(TENSORS.assign(relative_error=0.0))._repr_png_()


def test_an_infinite_error_is_drawn_beyond_the_others_and_named() -> None:
    figure = plots.tensor_errors(TENSORS.replace(3e-5, np.inf))
    (axes,) = figure.axes
    *others, infinite = (bar.get_width() for bar in axes.patches)
    assert max(others) < infinite < axes.get_xlim()[1]
    assert axes.texts[-1].get_text() == "inf"
    figure._repr_png_()


def test_the_flip_map_dots_each_pixel_that_flips_and_counts_them() -> None:
    figure = plots.flip_map(PHOTO, block(10, 12), block(11, 10), ("PyTorch", "ONNX"))
    (axes,) = figure.axes
    only_a, only_b = axes.collections
    assert len(only_a.get_offsets()) == 20
    assert len(only_b.get_offsets()) == 10
    assert axes.get_title().startswith("30 of 2,400 pixels flip")
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["mask in both: 100 px", "only in PyTorch: 20 px", "only in ONNX: 10 px"]


def test_the_flip_map_paints_where_both_masks_agree() -> None:
    (axes,) = plots.flip_map(PHOTO, block(10, 10), block(10, 10)).axes
    (image,) = axes.images
    painted = np.ptp(image.get_array(), axis=-1) > 0
    np.testing.assert_array_equal(painted, block(10, 10))


def test_masks_of_another_size_than_the_photo_are_refused() -> None:
    with pytest.raises(ValueError, match=r"sizes \(40, 60\), \(40, 60\) and \(8, 8\)"):
        plots.flip_map(PHOTO, block(1, 1), np.zeros((8, 8), bool))


def test_there_is_a_box_for_each_kind_of_prompt() -> None:
    (axes,) = plots.iou_by_prompt(MASKS).axes
    assert len(axes.patches) == 2
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["1 point\n(3 masks)", "box\n(3 masks)"]


def test_masks_that_all_agree_have_an_axis_that_reaches_1() -> None:
    (axes,) = plots.iou_by_prompt(MASKS.assign(iou=1.0)).axes
    bottom, top = axes.get_ylim()
    assert bottom < 1.0 < top


def test_every_layer_has_a_dot_and_the_first_above_is_named_and_marked() -> None:
    (axes,) = plots.error_growth(STAGES).axes
    (dots,) = axes.collections
    assert len(dots.get_offsets()) == len(STAGES)
    assert axes.get_title() == "First above the threshold of 0.001: blocks.1"
    (mark,) = axes.patches
    assert mark.get_y() <= 2 <= mark.get_y() + mark.get_height()


def test_no_error_and_an_infinite_one_lie_at_the_edges_each_layer_in_its_row() -> None:
    (axes,) = plots.error_growth(STAGES).axes
    errors, rows = axes.collections[0].get_offsets().T
    assert (errors[0], errors[-1]) == axes.get_xlim()
    assert rows.tolist() == [0, 1, 2, 3]
    assert axes.get_ylim() == (3.5, -0.5)


def test_a_sound_engine_has_no_layer_marked() -> None:
    (axes,) = plots.error_growth(STAGES.assign(relative_error=1e-6, above=False)).axes
    assert not axes.patches
    assert axes.get_title() == "Every layer is within the threshold of 0.001"


@pytest.mark.parametrize("error", [1e-6, 0.5])
def test_the_threshold_is_in_view_however_large_the_errors(error: float) -> None:
    (axes,) = plots.error_growth(STAGES.assign(relative_error=error)).axes
    left, right = axes.get_xlim()
    assert left < 1e-3 < right
    assert left < error < right
