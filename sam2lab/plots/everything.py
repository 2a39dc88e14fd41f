"""Draw all masks that were found in a photo, and the candidates that the filters removed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from scipy import ndimage

from sam2lab.plots import style

_COLOURS = (
    style.ORANGE,
    style.SKY,
    style.GREEN,
    style.YELLOW,
    style.BLUE,
    style.VERMILLION,
    style.PURPLE,
)
_OPACITY = 0.55
_OUTLINE_SHARE = 1 / 300  # of the photo's longer side


def painted(
    photo: npt.NDArray[Any],
    found: Sequence[npt.NDArray[np.bool_]],
    *more: Sequence[npt.NDArray[np.bool_]],
    titles: Sequence[str] = (),
) -> Figure:
    """The photo (H, W, 3), 8-bit or in [0, 1], and beside it the same with masks (N, H, W) on it.

    Each has a colour and an outline; the largest is painted first, so that what lies on it
    stays to be seen. Every further sequence of masks gets a picture of its own.
    """
    pictures = [photo, *(_paint(photo, masks) for masks in (found, *more))]
    height, width = photo.shape[:2]
    figure = style.Picture(11, 0.3 + 11 * height / width / len(pictures))
    panels = figure.subplots(1, len(pictures))
    for axes, picture in zip(panels, pictures, strict=True):
        axes.imshow(picture)
        axes.set_axis_off()
    for axes, title in zip(panels[1:], titles, strict=False):
        axes.set_title(title)
    return figure


def filtered(
    candidates: pd.DataFrame, pred_iou_thresh: float, stability_score_thresh: float
) -> Figure:
    """Each candidate by its score and its stability, and the two lines that it must pass.

    `candidates` has columns `predicted_iou`, `stability_score` and `area`. A dot is as large
    as its mask; those that pass are green, the others hollow.
    """
    table = candidates.dropna(subset="stability_score").sort_values("area", ascending=False)
    score, stability = table["predicted_iou"], table["stability_score"]
    stays = (score > pred_iou_thresh) & (stability >= stability_score_thresh)
    figure = style.Picture(7, 4.5)
    axes = figure.add_subplot()
    size = 8 + 80 * np.sqrt(table["area"] / table["area"].max())
    axes.scatter(
        score[~stays], stability[~stays], size[~stays], facecolors="none", edgecolors=style.GREY
    )
    axes.scatter(
        score[stays], stability[stays], size[stays], color=style.GREEN, alpha=0.6, edgecolors="none"
    )
    axes.axvline(pred_iou_thresh, color=style.BLACK, linewidth=1, linestyle="--")
    axes.axhline(stability_score_thresh, color=style.BLACK, linewidth=1, linestyle="--")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_xlabel("predicted IoU: how good the model believes the mask to be")
    axes.set_ylabel("stability: IoU of a stricter and a laxer mask")
    axes.set_title(f"{stays.sum()} of {len(candidates)} candidates pass both lines")
    style.plain(axes, "both")
    return figure


def _paint(
    photo: npt.NDArray[Any], masks: Sequence[npt.NDArray[np.bool_]]
) -> npt.NDArray[np.uint8]:
    bare = photo.astype(np.float32) * (1 if photo.dtype == np.uint8 else 255)
    canvas = bare.copy()
    width = max(1, round(max(photo.shape) * _OUTLINE_SHARE))
    by_size = sorted(masks, key=np.count_nonzero, reverse=True)
    for mask, name in zip(by_size, cycle(_COLOURS)):
        colour = 255 * np.array(to_rgb(name), np.float32)
        # From the photo, not from the canvas: what lies below would mix into another colour.
        canvas[mask] = (1 - _OPACITY) * bare[mask] + _OPACITY * colour
        inside = ndimage.binary_erosion(mask, iterations=width, border_value=1)
        canvas[mask & ~inside] = colour
    return np.rint(canvas).astype(np.uint8)
