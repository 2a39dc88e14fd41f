"""Draw what a mask on disk costs a process: its time and its memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sam2lab.plots import style

PANELS = {
    "mask_ms": "from the start of a process\nto a mask on disk (ms)",
    "peak_mb": "most memory that it held (MB)",
}


def mask_on_disk(table: pd.DataFrame) -> Figure:
    """Bars of the medians of `measure.native.to_disk`, and a dot for each process."""
    series = list(table["series"].unique())
    figure = style.Picture(8, 1.5 + 0.5 * len(series))
    for axes, (column, label) in zip(
        figure.subplots(1, 2, sharey=True), PANELS.items(), strict=True
    ):
        for place, name in enumerate(series):
            values = table.loc[table["series"] == name, column]
            axes.barh(place, values.median(), height=0.6, color=style.colour(place))
            axes.scatter(values, np.full(len(values), place), color=style.BLACK, s=8, zorder=3)
            style.write_beside(axes, f"{values.median():,.0f}", (values.max(), place), (6, 0))
        axes.set_yticks(range(len(series)), series)
        axes.margins(x=0.15)
        axes.set_xlabel(label)
        style.plain(axes, values="x")
    figure.axes[0].invert_yaxis()
    figure.suptitle("What does one mask cost, from nothing?")
    return figure
