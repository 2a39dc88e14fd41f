"""Draw what a model costs by target and precision: masks, bytes, time here and on real chips."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from sam2lab.plots import style

COLOURS = {"onnx": style.BLUE, "litert": style.ORANGE, "qnn": style.GREEN}
# A loss of nothing has no place on a logarithmic axis.
_LEAST_LOSS = 1e-6


def by_target(table: pd.DataFrame) -> Figure:
    """Four panels with a row for each target and precision of `measure.compare_targets`.

    The loss of mask IoU, where the dot is the mean and the line ends at the worst mask; the files'
    size; the time of an encode here, with its interval; and published times of SAM 2.1 tiny, from
    the fastest chip to the slowest, with a dot at the median.
    """
    figure = style.Picture(12, 1.6 + 0.32 * len(table))
    panels = figure.subplots(1, 4, sharey=True)
    places = np.arange(len(table))
    colours = [COLOURS[target] for target in table["target"]]
    lost, bytes_, time, published = panels
    mean, worst = (
        (1 - table[column]).clip(lower=_LEAST_LOSS) for column in ("mean_iou", "least_iou")
    )
    lost.hlines(places, mean, worst, color=colours)
    lost.scatter(mean, places, c=colours, zorder=3)
    lost.set(xscale="log", xlabel="1 - IoU: mean, worst mask", title="What masks lose")
    bytes_.barh(places, table["megabytes"], 0.6, color=colours)
    bytes_.set(xlabel="MB", title="Files")
    time.hlines(places, table["ratio_low"], table["ratio_high"], color=colours)
    time.scatter(table["ratio"], places, c=colours, zorder=3)
    time.axvline(1, color=style.GREY, linewidth=0.8)
    time.set(xscale="log", xlabel="encode here, the first = 1", title="Time on this processor")
    published.hlines(places, table["published_low_ms"], table["published_high_ms"], color=colours)
    published.scatter(table["published_ms"], places, c=colours, zorder=3)
    published.set(xscale="log", xlabel="encode (ms)", title="Published: tiny, real chips")
    for axes in panels:
        style.plain(axes, "x")
    for axes in (time, published):
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    absent = table["ratio"].isna()
    for place in places[absent]:
        time.annotate("not here", (0.5, place), xycoords=("axes fraction", "data"), va="center")
    lost.set_yticks(places, table["target"] + " " + table["precision"])
    lost.invert_yaxis()
    return figure
