"""Label maps hold each object's id, and the PNG has the palette of DAVIS and PASCAL VOC."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sam2lab.runtime.video.davis import as_png, label_map


def test_a_png_keeps_the_ids_and_shows_the_published_colours() -> None:
    ids = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = Image.open(io.BytesIO(as_png(ids)))
    assert image.mode == "P"
    assert np.array_equal(np.asarray(image), ids)
    # From the development kit of PASCAL VOC, whose colours DAVIS took over.
    shown = np.asarray(image.convert("RGB")).reshape(256, 3)
    assert shown[:8].tolist() == [
        *([0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]),
        *([0, 0, 128], [128, 0, 128], [0, 128, 128], [128, 128, 128]),
    ]
    assert shown[[9, 20, 255]].tolist() == [[192, 0, 0], [0, 64, 128], [224, 224, 192]]


def test_overlapping_masks_give_the_first_and_logits_the_highest() -> None:
    masks = np.array([[[True, True, False]], [[False, True, False]]])
    assert label_map(masks, [4, 2]).tolist() == [[4, 4, 0]]
    logits = np.float32([[[1, 1, 0]], [[-1, 2, -9]]])
    assert label_map(logits, [4, 2]).tolist() == [[4, 2, 0]]
    assert label_map(np.zeros((0, 2, 3), bool), []).shape == (2, 3)


@pytest.mark.parametrize("ids", [[0, 1], [1, 256], [1, 1], [1]])
def test_ids_that_a_png_cannot_hold_are_refused(ids: list[int]) -> None:
    with pytest.raises(ValueError, match="object_ids"):
        label_map(np.zeros((2, 3, 4), bool), ids)
