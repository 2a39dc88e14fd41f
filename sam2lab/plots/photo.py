"""Masks over their photo."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from sam2lab.plots.style import GREEN, SKY, VERMILLION, Picture


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
    figure = Picture(figsize=(10, 0.6 + 10 * height / width / len(masks)), layout="constrained")
    panels = figure.subplots(1, len(masks), squeeze=False)[0]
    for axes, mask, score in zip(panels, masks, scores, strict=True):
        axes.imshow(photo)
        axes.imshow(np.where(mask[..., None], to_rgba(SKY, 0.65), 0.0))
        for marker, colour, chosen in (("o", GREEN, positive), ("X", VERMILLION, ~positive)):
            axes.scatter(*clicks[chosen].T, s=90, marker=marker, c=colour, edgecolors="white")
        axes.set_title(f"predicted IoU {score:.2f}")
        axes.set_axis_off()
    return figure
