"""Draw how two engines differ: errors by tensor, flipped pixels, IoU by prompt, growth by block."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sam2lab.plots import style

PARTS = {
    "photo": style.GREEN,
    "encoder": style.BLUE,
    "prompt": style.PURPLE,
    "decoder": style.ORANGE,
}

# Where a logarithmic axis begins and no error is drawn: float32 keeps about seven digits.
EXACT = 1e-9


def tensor_errors(table: pd.DataFrame) -> Figure:
    """Bars of the relative error, one for each tensor of `compare_tensors`.

    Where a tensor was compared on several images, the worst of them counts. An infinite error,
    that of a constant tensor, is drawn beyond all others.
    """
    worst = table.groupby("tensor", sort=False)["relative_error"].max()
    figure = style.Picture(7, 0.8 + 0.35 * len(worst))
    axes = figure.add_subplot()
    axes.set_xscale("log")
    end = max(30 * worst.to_numpy()[np.isfinite(worst)].max(initial=0), 1e-4)
    bars = axes.barh(worst.index, worst.clip(upper=end / 10), left=EXACT, color=style.BLUE)
    axes.bar_label(bars, [_number(value) for value in worst], padding=4)
    axes.set_xlim(EXACT, end)
    axes.invert_yaxis()
    axes.set_xlabel("largest error (standard deviations of the tensor)")
    axes.set_ylabel("tensor")
    axes.set_title("Error by tensor")
    style.plain(axes)
    return figure


def flip_map(
    photo: npt.NDArray[Any],
    mask_a: npt.NDArray[np.bool_],
    mask_b: npt.NDArray[np.bool_],
    names: tuple[str, str] = ("a", "b"),
) -> Figure:
    """Where two masks (H, W) of one photo (H, W, 3) agree, and the pixels where they do not.

    `names` are the masks', for the legend.
    """
    if not photo.shape[:2] == mask_a.shape == mask_b.shape:
        raise ValueError(
            f"photo, mask_a and mask_b have sizes {photo.shape[:2]}, {mask_a.shape} and "
            f"{mask_b.shape}; wanted one size for all three"
        )
    height, width = mask_a.shape
    figure = style.Picture(7, 7 * height / width + 0.8)
    axes = figure.add_subplot()
    axes.imshow(_tinted(photo, mask_a & mask_b))
    only_a, only_b = mask_a & ~mask_b, mask_b & ~mask_a
    handles: list[Any] = [
        Patch(color=style.SKY, label=f"mask in both: {(mask_a & mask_b).sum():,} px")
    ]
    for flipped, colour, name in zip(
        (only_a, only_b), (style.ORANGE, style.VERMILLION), names, strict=True
    ):
        rows, columns = np.nonzero(flipped)
        # A single flipped pixel would be lost in a large photo: each gets a dot one can see.
        axes.scatter(columns, rows, s=9, color=colour, linewidths=0)
        handles.append(style.dot(colour, f"only in {name}: {len(rows):,} px"))
    flips = int((mask_a ^ mask_b).sum())
    axes.set_title(f"{flips:,} of {mask_a.size:,} pixels flip ({flips / mask_a.size:.4%})")
    axes.set_xlabel("x (px)")
    axes.set_ylabel("y (px)")
    figure.explain(3, handles=handles)
    return figure


def iou_by_prompt(table: pd.DataFrame) -> Figure:
    """Box plot of the masks' IoU in `compare_masks`, a box for each kind of prompt."""
    groups = table.groupby("kind", sort=False)["iou"]
    figure = style.Picture(7, 3.8)
    axes = figure.add_subplot()
    boxes = axes.boxplot(
        [group.to_numpy() for _, group in groups],
        tick_labels=[f"{kind}\n({len(group)} masks)" for kind, group in groups],
        patch_artist=True,
        medianprops={"color": style.BLACK},
        flierprops={"marker": "o", "markersize": 4, "markeredgecolor": style.VERMILLION},
    )
    for box in boxes["boxes"]:
        box.set_facecolor(style.SKY)
    lowest = float(table["iou"].min())
    # With every mask the same, the axis would have no height: show the last thousandth.
    room = max(1.0 - lowest, 1e-3)
    axes.set_ylim(1.0 - 1.1 * room, 1.0 + 0.1 * room)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_ylabel("IoU of the two masks (1 = same)")
    axes.set_xlabel("kind of prompt")
    axes.set_title("Agreement by kind of prompt")
    style.plain(axes)
    return figure


def error_growth(table: pd.DataFrame) -> Figure:
    """How the error grows from block to block in `trace_layers`, the threshold drawn in.

    The first layer above the threshold is named and marked. Layers without an error lie at
    the left edge; an infinite error, that of a constant tensor, lies at the right one.
    """
    figure = style.Picture(9, max(3.2, 1.2 + 0.24 * len(table)))
    axes = figure.add_subplot()
    axes.set_xscale("log")
    threshold = float(table["threshold"].iloc[0])
    finite = table["relative_error"].replace(np.inf, 0.0)
    end = 10 * max(threshold, finite.max())
    errors = table["relative_error"].clip(EXACT, end)
    places = np.arange(len(table))
    axes.plot(errors, places, color=style.GREY, linewidth=1)
    # A table may begin later or end earlier; its parts have these colours in every figure.
    colours = {part: colour for part, colour in PARTS.items() if part in set(table["part"])}
    dots = [colours[part] for part in table["part"]]
    axes.scatter(errors, places, color=dots, zorder=3, clip_on=False)
    axes.set_xlim(EXACT, end)
    axes.set_yticks(places, table["layer"].tolist())
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.axvline(threshold, color=style.VERMILLION, linestyle="--", linewidth=1)
    title = f"Every layer is within the threshold of {threshold:g}"
    above = np.flatnonzero(table["above"])
    if len(above):
        first = above[0]
        title = f"First above the threshold of {threshold:g}: {table['layer'].iloc[first]}"
        axes.axhspan(first - 0.5, first + 0.5, color=style.YELLOW, alpha=0.6, zorder=0)
    axes.set_title(title)
    axes.set_xlabel(
        "largest error (standard deviations of the tensor; at the edges: none, infinite)"
    )
    axes.set_ylabel("layer, from photo to mask")
    handles = [style.dot(colour, part) for part, colour in colours.items()]
    handles.append(Line2D([], [], color=style.VERMILLION, linestyle="--", label="threshold"))
    figure.explain(5, handles=handles)
    style.plain(axes)
    return figure


def _tinted(photo: npt.NDArray[Any], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The photo in pale grey, with the mask in the colour of agreement."""
    scale = 255.0 if photo.dtype == np.uint8 else 1.0
    grey = 0.35 + 0.6 * photo[..., :3].mean(axis=-1, keepdims=True) / scale
    tinted = 0.45 * grey + 0.55 * np.array(to_rgb(style.SKY))
    return np.where(mask[..., None], tinted, np.repeat(grey, 3, axis=-1))


def _number(value: float) -> str:
    return "0 (exact)" if value == 0 else f"{value:.1e}"
