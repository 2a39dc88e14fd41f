"""Draw the parts of a model, the scenes that it learns from, and its learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from sam2lab.plots import style

_OUTLINES = (style.VERMILLION, style.SKY, style.YELLOW, style.GREEN, style.PURPLE, style.ORANGE)


def parts(counts: Mapping[str, int]) -> Figure:
    """The number of parameters of each part of a model, as bars."""
    figure = style.Picture(8, 0.6 + 0.4 * len(counts))
    axes = figure.subplots()
    names, values = list(counts), np.array(list(counts.values())) / 1e6
    bars = axes.barh(names[::-1], values[::-1], color=style.BLUE)
    axes.bar_label(bars, fmt="%.2f M", padding=4)
    axes.set_xlabel("parameters (millions)")
    axes.margins(x=0.15)
    style.plain(axes, values="x")
    return figure


def outlined(
    images: Sequence[npt.NDArray[np.uint8]],
    masks: Sequence[npt.NDArray[np.bool_]],
    columns: int = 6,
) -> Figure:
    """Pictures (H, W, 3), each with the outlines of its masks (N, H, W)."""
    rows = -(-len(images) // columns)
    figure = style.Picture(10, 10 * rows / columns)
    for axes in figure.subplots(rows, columns, squeeze=False).flat:
        axes.set_axis_off()
    for axes, image, objects in zip(figure.axes, images, masks, strict=False):
        axes.imshow(image)
        for i, mask in enumerate(objects):
            colour = _OUTLINES[i % len(_OUTLINES)]
            axes.contour(mask, levels=[0.5], colors=[colour], linewidths=1.4)
    return figure


def learning(log: pd.DataFrame) -> Figure:
    """Loss, IoU and size of the pictures over the steps of a training log.

    `unseen_*` columns are dots: measured now and then on scenes that training never sees.
    Grey bands separate the phases; the first is geometry, without pictures.
    """
    figure = style.Picture(10, 4)
    left, right = figure.subplots(1, 2)
    left.plot(log["step"], log["loss"], color=style.BLUE)
    left.set_ylabel("loss, training scenes")
    right.plot(log["step"], log["iou"], color=style.GREY, label="one prompt, training scenes")
    unseen = log.dropna(subset=["unseen_click"])
    for column, label, colour, marker in (
        ("unseen_box", "box, unseen scenes", style.GREEN, "s"),
        ("unseen_best", "click, best of 3, unseen scenes", style.SKY, "^"),
        ("unseen_click", "click, best-scored, unseen scenes", style.VERMILLION, "o"),
    ):
        right.plot(
            unseen["step"], unseen[column], marker, linestyle="-", color=colour, label=label, ms=4
        )
    right.set_ylabel("mean IoU")
    right.set_ylim(0, 1)
    figure.explain(4, fontsize="small")
    for axes in (left, right):
        axes.set_xlabel("step")
        style.plain(axes)
        _mark_phases(axes, log)
    return figure


def _mark_phases(axes: Any, log: pd.DataFrame) -> None:
    """A band for every other stretch of pictures of one size, and its side on top."""
    stretches = log.groupby((log["side"] != log["side"].shift()).cumsum())
    start = 0.0
    for number, (_, rows) in enumerate(stretches):
        end, side = rows["step"].max(), int(rows["side"].iloc[0])
        if number % 2 == 0:
            axes.axvspan(start, end, color="#f0f0f0", zorder=0)
        text = f"{side} px" if side else "geometry"
        axes.text(
            (start + end) / 2,
            1.01,
            text,
            transform=axes.get_xaxis_transform(),
            ha="center",
            fontsize="small",
        )
        start = end
