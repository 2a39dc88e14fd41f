"""Draw masks over their photo."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from sam2lab.plots import style


def candidates(
    photo: npt.NDArray[Any],
    masks: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float32],
    points: npt.ArrayLike = (),
    labels: npt.ArrayLike = (),
) -> Figure:
    """The photo (H, W, 3) once for each candidate mask (C, H, W), with its predicted IoU.

    Points (P, 2), (x, y) in pixels, are drawn as a green disc where the label is 1 and as a
    red cross where it is 0.
    """
    clicks = np.reshape(np.asarray(points, float), (-1, 2))
    positive = np.asarray(labels).reshape(-1) == 1
    if len(positive) != len(clicks):
        raise ValueError(
            f"labels has {len(positive)} entries for {len(clicks)} points; wanted one each, 1 on "
            "the object and 0 beside it"
        )
    if not len(masks) == len(scores) > 0:
        raise ValueError(
            f"masks has {len(masks)} entries and scores has {len(scores)}; wanted at least one "
            "mask (H, W), and a score for each"
        )
    height, width = photo.shape[:2]
    figure = style.Picture(10, 0.6 + 10 * height / width / len(masks))
    panels = figure.subplots(1, len(masks), squeeze=False)[0]
    for axes, mask, score in zip(panels, masks, scores, strict=True):
        axes.imshow(photo)
        style.show_mask(axes, mask, style.SKY, 0.65)
        style.show_clicks(axes, clicks, positive, 90)
        axes.set_title(f"predicted IoU {score:.2f}")
        axes.set_axis_off()
    return figure
