"""Colours, a figure that a notebook shows, plain axes, stacked bars, masks and clicks."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, PALE = "#999999", "#dddddd"

SERIES = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, YELLOW)
"""Colours for as many series; further ones begin again."""


class Picture(Figure):
    """A `Figure` that a notebook shows as the value of a cell, with or without a backend."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), layout="constrained")

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", bbox_inches="tight")
        return buffer.getvalue()

    def explain(self, columns: int, **options: Any) -> None:
        """Put a legend below the panels, where it lies on nothing that is drawn."""
        self.legend(loc="outside lower center", ncols=columns, frameon=False, **options)


def colour(place: int) -> str:
    """The colour of the series at this place.

    >>> colour(0) == colour(len(SERIES)) == BLUE
    True
    """
    return SERIES[place % len(SERIES)]


def plain(axes: Any, values: str = "") -> None:
    """Leave only the lines that help to read a value.

    `values` is the axis of the values, "x", "y" or "both"; by default x if that is logarithmic,
    else y.
    """
    axes.spines[["top", "right"]].set_visible(False)
    along = values or ("x" if axes.get_xscale() == "log" else "y")
    axes.grid(axis=along, color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)


def plain_numbers(axes: Any, values: str) -> None:
    """Plain axes, and along the axis of the values numbers without powers of ten."""
    plain(axes)
    axes.grid(axis=values, color=PALE, linewidth=0.6)
    along = axes.xaxis if values == "x" else axes.yaxis
    along.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    if along.get_scale() == "log":
        low, high = along.get_view_interval()
        # Within a decade or two, powers of ten alone would leave the axis without numbers.
        digits = "23456789" if high < 3 * low else "235" if high < 50 * low else ""
        along.set_minor_formatter(
            FuncFormatter(lambda value, _: f"{value:,.6g}" if f"{value:e}"[0] in digits else "")
        )


def write_beside(axes: Any, text: str, place: Any, offset: Any, align: str = "left") -> None:
    """Write a small text at an offset, in points, from a place in the units of the axes."""
    vertical = "baseline" if offset[1] else "center"
    axes.annotate(
        text, place, offset, textcoords="offset points", ha=align, va=vertical, fontsize=8
    )


def dot(colour: str, label: str, shape: str = "o", **options: Any) -> Line2D:
    """A mark of a legend without a line."""
    return Line2D([], [], linestyle="", marker=shape, color=colour, label=label, **options)


def stack(
    axes: Any, table: pd.DataFrame, parts: Mapping[str, tuple[str, str]], names: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Draw a bar for each row, from the top, of its `parts` end to end; return where each ends.

    `parts` are the label and the colour of a column, `names` those of the rows.
    """
    places, ends = np.arange(len(table)), np.zeros(len(table))
    for column, (label, colour) in parts.items():
        widths = table[column].to_numpy()
        axes.barh(places, widths, left=ends, color=colour, label=label, height=0.65)
        ends = ends + widths
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    plain(axes, values="x")
    return ends


def show_mask(
    axes: Any, mask: npt.NDArray[np.bool_], colour: str, opacity: float, outline: str = ""
) -> None:
    """Show a mask (H, W) in a colour, over what is there; with a colour, outline it."""
    axes.imshow(np.where(mask[..., None], to_rgba(colour, opacity), 0.0))
    if outline and mask.any() and not mask.all():
        axes.contour(mask, levels=[0.5], colors=[outline], linewidths=1)


def show_clicks(axes: Any, points: npt.NDArray[Any], positive: Any, size: float) -> None:
    """Mark points (P, 2), in pixels: a green disc where positive (P,), else a red cross."""
    for marker, face, chosen in (("o", GREEN, positive), ("X", VERMILLION, ~positive)):
        axes.scatter(*points[chosen].T, s=size, marker=marker, c=face, edgecolors="white")
