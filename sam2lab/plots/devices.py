"""Draw devices: time against memory, and this machine among the chipsets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import StrMethodFormatter
from matplotlib.transforms import offset_copy

from sam2lab.plots import style

# A precision has a colour and a shape, so that either is enough to tell it.
PRECISIONS = {"float": (style.BLUE, "o"), "fp16": (style.GREEN, "^"), "w8a8": (style.ORANGE, "s")}
THOUSANDS = StrMethodFormatter("{x:,g}")
PANELS = {"SAM2Encoder": "encoder: once for each picture", "SAM2Decoder": "decoder: each click"}


def speed_against_memory(published: pd.DataFrame, here: pd.DataFrame | None = None) -> Figure:
    """Time of one run against the upper end of peak memory, one panel for each part.

    Both tables have the columns of `devices.published`; the rows of `here` are ringed and
    named, and where it has a column `measured`, the legend says what that was. Hollow marks did
    not run on an NPU.
    """
    figure = style.Picture(11, 4.8)
    panels = figure.subplots(1, len(PANELS))
    for axes, (model, title) in zip(panels, PANELS.items(), strict=True):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.margins(0.12)
        for precision in PRECISIONS:
            _dots(axes, _of(published, model, precision), "inference_ms", "peak_mb_max")
        if here is not None:
            _ringed(axes, here[here["model"] == model])
        axes.set(xlabel="time of one run (ms)", title=title)
        style.plain(axes)
        axes.grid(axis="y", color=style.PALE, linewidth=0.6)
        axes.xaxis.set_major_formatter(THOUSANDS)
        axes.yaxis.set_major_formatter(THOUSANDS)
    panels[0].set_ylabel("peak memory, upper end of the range (MB)")
    figure.explain(3, handles=_keys(published, here))
    return figure


def among_chipsets(
    published: pd.DataFrame,
    here: pd.DataFrame | None = None,
    model: str = "SAM2Encoder",
    reference: tuple[str, float] | None = None,
) -> Figure:
    """All times of one part by chipset, the chipset with the fastest one on top.

    Both tables have the columns of `devices.published`; the chipsets of `here` stand on yellow,
    and where it has a column `measured`, the legend says what that was. `reference` is a name and
    a time in ms, drawn as a dashed line.
    """
    if model not in PANELS:
        raise ValueError(f"model is {model!r}; wanted one of {', '.join(map(repr, PANELS))}")
    own = set() if here is None else set(here["chipset"])
    table = published if here is None else pd.concat([published, here], ignore_index=True)
    table = table[table["model"] == model]
    spans = table.groupby("chipset")["inference_ms"].agg(["min", "max"]).sort_values("min")
    places = pd.Series(np.arange(len(spans)), index=spans.index)

    figure = style.Picture(9, 1.6 + 0.3 * len(spans))
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.hlines(places, spans["min"], spans["max"], color="#cccccc", linewidth=2, zorder=1)
    for precision in PRECISIONS:
        rows = _of(table, model, precision)
        _dots(axes, rows.assign(place=rows["chipset"].map(places)), "inference_ms", "place")
    for chipset, fastest in spans["min"].items():
        text = f"{fastest:,.1f}" if fastest < 100 else f"{fastest:,.0f}"
        style.write_beside(axes, text, (fastest, places[chipset]), (-8, 0), "right")
        if chipset in own:
            place = places[chipset]
            axes.axhspan(
                place - 0.5, place + 0.5, color=style.YELLOW, alpha=0.5, zorder=0, linewidth=0
            )
    handles: list[Any] = _keys(table, None)
    if here is not None:
        handles.append(Patch(color=style.YELLOW, alpha=0.5, label=_own(here)))
    if reference is not None:
        axes.axvline(reference[1], color=style.GREY, linestyle="--", linewidth=1.2, zorder=0)
        name = f"{reference[0]}: {reference[1]:g} ms"
        handles.append(Line2D([], [], color=style.GREY, linestyle="--", label=name))
    axes.set_yticks(places, [_shortened(name, name in own) for name in spans.index])
    axes.set_ylim(len(spans) - 0.5, -0.5)
    axes.margins(x=0.12)
    axes.set_xlabel("time of one run (ms); the number is the fastest")
    axes.set_title(f"{model} by chipset, the fastest first")
    style.plain(axes)
    axes.xaxis.set_major_formatter(THOUSANDS)
    figure.explain(3, handles=handles)
    return figure


def _of(table: pd.DataFrame, model: str, precision: str) -> pd.DataFrame:
    return table[(table["model"] == model) & (table["precision"] == precision)]


def _dots(axes: Any, rows: pd.DataFrame, x: str, y: str) -> None:
    """Marks of rows of one precision, hollow where the NPU did not do the work."""
    for on_npu, group in rows.groupby(rows["primary_compute_unit"] == "NPU"):
        colour, shape = PRECISIONS[group["precision"].iloc[0]]
        axes.scatter(
            group[x],
            group[y],
            s=38,
            marker=shape,
            facecolors=colour if on_npu else "white",
            edgecolors=colour,
            linewidths=1.5,
            alpha=0.85,
            zorder=3,
        )


def _ringed(axes: Any, own: pd.DataFrame) -> None:
    """Ring this machine's marks, and name them beside the panel, where no other mark can be."""
    for _, rows in own.groupby("precision"):
        _dots(axes, rows, "inference_ms", "peak_mb_max")
    axes.scatter(
        own["inference_ms"],
        own["peak_mb_max"],
        s=190,
        facecolors="none",
        edgecolors=style.BLACK,
        zorder=4,
    )
    beside = (1.02, own["peak_mb_max"].median())
    for place, row in enumerate(own.sort_values("peak_mb_max", ascending=False).itertuples()):
        above = 14 * ((len(own) - 1) / 2 - place)
        axes.annotate(
            f"{row.runtime} {row.precision}",
            (row.inference_ms, row.peak_mb_max),
            beside,
            textcoords=offset_copy(
                axes.get_yaxis_transform(), axes.figure, 0, above, units="points"
            ),
            va="center",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "color": style.GREY, "shrinkB": 7, "linewidth": 0.8},
            zorder=2,
        )


def _keys(table: pd.DataFrame, here: pd.DataFrame | None) -> list[Line2D]:
    """The legend of the marks of these tables."""
    drawn = set(table["precision"]) | (set() if here is None else set(here["precision"]))
    keys = [
        style.dot(colour, precision, shape)
        for precision, (colour, shape) in PRECISIONS.items()
        if precision in drawn
    ]
    keys.append(style.dot(style.GREY, "filled: ran on the NPU", "D"))
    keys.append(style.dot(style.GREY, "hollow: on CPU or GPU", "D", markerfacecolor="white"))
    if here is not None:
        keys.append(style.dot(style.BLACK, _own(here), markerfacecolor="none", markersize=12))
    return keys


def _own(here: pd.DataFrame) -> str:
    """This machine in the legend, and what was measured on it if the table knows."""
    measured = here["measured"].unique() if "measured" in here else ()
    return "; ".join([f"this machine: {what}" for what in measured]) or "this machine"


def _shortened(chipset: str, is_own: bool) -> str:
    name = chipset if len(chipset) <= 36 else chipset[:35] + "…"
    return f"this machine: {name}" if is_own else name
