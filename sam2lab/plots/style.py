"""What all figures share: colours, a figure that a notebook shows, plain axes."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.figure import Figure

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#999999"


class Picture(Figure):
    """A `Figure` that a notebook shows as the value of a cell, with or without a backend."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", bbox_inches="tight")
        return buffer.getvalue()


def plain(axes: Any, values: str = "") -> None:
    """Only the lines that help to read a value.

    `values` is the axis, "x" or "y", that they lie on: without it x where that is logarithmic.
    """
    axes.spines[["top", "right"]].set_visible(False)
    along = values or ("x" if axes.get_xscale() == "log" else "y")
    axes.grid(axis=along, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
