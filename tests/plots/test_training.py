from __future__ import annotations

import numpy as np
import pandas as pd

from sam2lab import plots

# Two steps of geometry, two at 64 pixels, two at 128, unseen scenes asked about twice.
LOG = pd.DataFrame(
    {
        "step": [10, 20, 30, 40, 50, 60],
        "side": [0, 0, 64, 64, 128, 128],
        "loss": [3, 2, 4, 3, 2, 1],
        "iou": [0.1, 0.5, 0.2, 0.3, 0.4, 0.5],
        "unseen_click": [None, None, None, 0.2, None, 0.3],
        "unseen_best": [None, None, None, 0.3, None, 0.4],
        "unseen_box": [None, None, None, 0.4, None, 0.6],
    }
)


def test_unseen_scenes_are_drawn_where_they_were_measured() -> None:
    _, right = plots.learning(LOG).axes
    boxes = next(line for line in right.lines if line.get_label().startswith("box"))
    assert boxes.get_xydata().tolist() == [[40, 0.4], [60, 0.6]]


def test_each_size_of_pictures_is_named_over_its_steps() -> None:
    left, _ = plots.learning(LOG).axes
    names = {text.get_text(): text.get_position()[0] for text in left.texts}
    assert names == {"geometry": 10, "64 px": 30, "128 px": 50}


def test_parts_are_drawn_in_the_order_given_from_the_top() -> None:
    (axes,) = plots.parts({"encoder": 2_000_000, "decoder": 500_000}).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["decoder", "encoder"]
    assert [bar.get_width() for bar in axes.patches] == [0.5, 2.0]


def test_every_picture_has_a_panel_and_every_mask_an_outline() -> None:
    masks = np.zeros((3, 8, 8), np.bool_)
    for i in range(3):
        masks[i, 2 * i + 1, 2:5] = True
    images = [np.zeros((8, 8, 3), np.uint8)] * 4
    figure = plots.outlined(images, [masks, masks[:1], masks[:0], masks[:2]], columns=3)
    assert len(figure.axes) == 6
    assert [len(axes.collections) for axes in figure.axes] == [3, 1, 0, 2, 0, 0]
