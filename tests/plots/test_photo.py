"""Masks drawn over their photo, with the clicks that they answer."""

from __future__ import annotations

import numpy as np
import pytest

from sam2lab import plots
from tests.plots.test_parity import PHOTO, block


def test_candidates_have_a_panel_and_a_score_each() -> None:
    masks = np.stack([block(10, 10), block(20, 20), block(5, 5)])
    scores = np.array([0.5, 0.91, 0.2], np.float32)
    figure = plots.candidates(PHOTO, masks, scores, [(15, 15), (50, 30)], [1, 0])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["predicted IoU 0.50", "predicted IoU 0.91", "predicted IoU 0.20"]


def test_candidates_need_no_clicks() -> None:
    assert len(plots.candidates(PHOTO, block(9, 9)[None], np.ones(1)).axes) == 1


@pytest.mark.parametrize(("masks", "scores"), [(0, 0), (1, 2), (2, 1)])
def test_masks_that_are_none_or_have_no_score_each_are_refused(masks: int, scores: int) -> None:
    with pytest.raises(ValueError, match=f"masks has {masks} entries and scores has {scores}; w"):
        plots.candidates(PHOTO, np.zeros((masks, *PHOTO.shape[:2]), bool), np.ones(scores))


def test_points_without_labels_are_refused_not_left_out() -> None:
    with pytest.raises(ValueError, match="labels has 0 entries for 1 points"):
        plots.candidates(PHOTO, block(9, 9)[None], np.ones(1), [(15, 15)])
