"""by_target: four panels that share their rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sam2lab import plots

_NAN = float("nan")
TABLE = pd.DataFrame(
    {
        "target": ["onnx", "litert", "qnn"],
        "precision": ["float", "w8a8", "w8a16"],
        "megabytes": [9.4, 6.4, 8.0],
        "photos": [20, 20, 4],
        "masks": [120, 120, 24],
        "mean_iou": [1.0, 0.984, 0.996],
        "least_iou": [0.99991, 0.93, 0.99],
        "ratio": [1.0, 0.8, _NAN],
        "ratio_low": [1.0, 0.78, _NAN],
        "ratio_high": [1.0, 0.83, _NAN],
        "encode_ms": [84.0, 67.0, _NAN],
        "published_ms": [100.0, 170.0, _NAN],
        "published_low_ms": [40.0, 39.0, _NAN],
        "published_high_ms": [900.0, 1500.0, _NAN],
        "chipsets": [14, 14, 0],
    }
)


def test_each_target_and_precision_has_a_row_in_all_panels() -> None:
    panels = plots.by_target(TABLE).axes
    names = [label.get_text() for label in panels[0].get_yticklabels()]
    assert names == ["onnx float", "litert w8a8", "qnn w8a16"]
    bottom, top = panels[0].get_ylim()
    assert bottom > top, "the first row is the highest"


def test_a_loss_of_nothing_has_a_place_and_no_time_is_said_so() -> None:
    lost, _, time, _ = plots.by_target(TABLE).axes
    means = lost.collections[-1].get_offsets()[:, 0]
    np.testing.assert_allclose(means, [1e-6, 0.016, 0.004])
    assert [text.get_text() for text in time.texts] == ["not here"]
