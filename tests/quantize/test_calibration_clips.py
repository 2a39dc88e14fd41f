"""What the memory attention is calibrated with: frames of clips made of images."""

from __future__ import annotations

import numpy as np
import pytest

from sam2lab.quantize import calibration_images
from sam2lab.quantize.calibration_clips import FRAMES, clip, memory_feeds
from tests.exporting import Export


def test_the_camera_comes_nearer_and_stays_in_the_picture() -> None:
    columns = np.tile(np.arange(200, dtype=np.uint8)[:, None], (100, 1, 3))
    frames = clip(columns, seed=3)
    assert len(frames) == FRAMES
    np.testing.assert_array_equal(frames[0], columns)
    seen = [float(np.ptp(frame[50, :, 0])) for frame in frames]
    assert seen == sorted(seen, reverse=True)
    # Three quarters of the columns, less what is rounded at the edges.
    assert 145 <= seen[-1] <= 150


@pytest.mark.parametrize("size", [(40, 60), (1, 1)])
def test_a_frame_looks_at_the_memories_of_all_before_it(
    exported: Export, size: tuple[int, int]
) -> None:
    images = [np.zeros((*size, 3), np.uint8), np.full((*size, 3), 255, np.uint8)]
    bundle = exported("nano", (64, 96)).bundle
    for feed in memory_feeds(calibration_images(images), bundle):
        assert feed["memory"].shape == (1, FRAMES - 1, 4 * 6, 32)
        assert feed["object_pointers"].shape == (1, FRAMES - 1, 128)
