"""Draw the cost of 8 bits: the damage by part, and recipes by time, size and masks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch

from sam2lab.plots import style

# Between a worst and a best IoU that differ by less, every label would lie on the next.
_LEAST_HEIGHT = 0.002


def block_damage(swept: pd.DataFrame) -> Figure:
    """The loss of each part of a model when it alone is quantised, in the order of computation.

    `swept` is a table of `quantize.sweep`. The thick bar is the mean loss of IoU, the thin
    line reaches to what one mask in twenty loses.
    """
    table = swept.sort_values("part", key=_by_number, ignore_index=True)
    figure = style.Picture(7, 1.4 + 0.3 * len(table))
    axes = figure.add_subplot()
    places = np.arange(len(table))
    worst = table["iou"].idxmin()
    colours = [style.VERMILLION if place == worst else style.BLUE for place in places]
    lost, far = 1 - table["iou"], 1 - table["iou_p5"]
    axes.hlines(places, 0, far, color=style.GREY, linewidth=1.2, zorder=1)
    axes.barh(places, lost, 0.6, color=colours, zorder=2)
    for place, row in zip(places, table.itertuples(), strict=True):
        text = f"{row.share:.0%}, {row.sqnr_db:.0f} dB"
        axes.annotate(text, (1.02, place), xycoords=("axes fraction", "data"), va="center")
    axes.set_yticks(places, [part.removeprefix("encoder.") for part in table["part"]])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.05 * max(far.max(), 1e-4))
    axes.set_xlabel("loss of mask IoU: mean, and what one mask in twenty exceeds")
    axes.set_ylabel("the only part in 8 bits")
    axes.set_title("Which part suffers from 8 bits? (share of the damage, signal to noise)")
    style.plain(axes, "x")
    return figure


def pareto(table: pd.DataFrame) -> Figure:
    """Recipes by time and by size, each against IoU with the float model's masks.

    `table` is that of `quantize.pareto`. Recipes that no other beats are blue, the others are
    hollow, and the float model, in the first row, is black.
    """
    figure = style.Picture(10.5, 1.6 + 0.3 * len(table))
    left, middle, right = figure.subplots(1, 3, width_ratios=(4, 2.2, 4))
    colours = [style.BLUE if best else style.ORANGE for best in table["best"]]
    colours[0] = style.BLACK
    faces = [c if best else "none" for c, best in zip(colours, table["best"], strict=True)]
    low = min(table["iou"].min(), 1 - _LEAST_HEIGHT)
    margin = 0.06 * (1 - low)
    for axes, column in ((left, "time_ratio"), (right, "size_ratio")):
        axes.scatter(table[column], table["iou"], c=faces, edgecolors=colours, s=36, zorder=3)
        axes.set(xlim=(0, max(1.1, 1.05 * table[column].max())), ylim=(low - margin, 1 + margin))
        axes.set_ylabel("mask IoU with the float model")
        style.plain(axes, "y")
    right.yaxis.tick_right()
    right.yaxis.set_label_position("right")
    right.spines[["left", "right"]].set_visible(True)
    left.set_xlabel("time of encoding and a click, float = 1")
    right.set_xlabel("size of both files, float = 1")
    left.set_title("Left is faster, up is closer to float")
    right.set_title("Left is smaller, up is closer to float")
    middle.set_axis_off()
    middle.set(xlim=(0, 1), ylim=(0, 1))
    order = table["iou"].argsort().to_numpy()
    for height, place in zip(np.linspace(0.03, 0.97, len(table)), order, strict=True):
        row = table.iloc[place]
        middle.text(0.5, height, row["recipe"], ha="center", va="center", color=style.BLACK)
        for axes, column, side in ((left, "time_ratio", 0.0), (right, "size_ratio", 1.0)):
            figure.add_artist(
                ConnectionPatch(
                    (row[column], row["iou"]),
                    (side, height),
                    "data",
                    axesA=axes,
                    axesB=middle,
                    color=colours[place],
                    linewidth=0.6,
                    alpha=0.6,
                )
            )
    return figure


def _by_number(parts: pd.Series) -> pd.Series:
    """Names that sort by the numbers in them: blocks.2 comes before blocks.10, encoder first."""
    padded = parts.str.replace(r"\d+", lambda found: found[0].zfill(3), regex=True)
    order = {"encoder.patch_embed": "0", "encoder.neck": "encoder.~"}
    return padded.replace(order).str.replace("decoder", "~")
