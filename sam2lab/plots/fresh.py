"""Draw the cost of a fresh process: the way to the first mask, and the peak of memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sam2lab.plots import style

STEPS = {
    "interpreter_ms": ("Python itself", style.GREY),
    "import_ms": ("import", style.YELLOW),
    "open_ms": ("open the model", style.ORANGE),
    "first_encode_ms": ("first encode", style.BLUE),
    "first_decode_ms": ("first decode", style.GREEN),
    "other_ms": ("photo, prompt, masks", style.PURPLE),
}
PHASES = {"import": style.YELLOW, "open": style.ORANGE, "encode": style.BLUE, "decode": style.GREEN}


def cold_start(table: pd.DataFrame) -> Figure:
    """Bars of the median steps of `fresh.cold_start`, and a dot for each start's first mask."""
    groups = table.groupby("series", sort=False)
    figure = style.Picture(8, 1.7 + 0.6 * len(groups))
    axes = figure.add_subplot()
    starts = [f"{name}\n({len(rows)} starts)" for name, rows in groups]
    style.stack(axes, groups[list(STEPS)].median(), STEPS, starts)
    for place, (_, rows) in enumerate(groups):
        totals = rows["first_mask_ms"]
        axes.scatter(totals, np.full(len(rows), place), color=style.BLACK, s=14, zorder=3)
    axes.set_xlabel("from nothing to the first mask (ms): median steps, a dot for each start")
    axes.set_ylabel("series")
    axes.set_title("What does it cost to begin?")
    figure.explain(3)
    return figure


def peak_memory(table: pd.DataFrame) -> Figure:
    """Bars of the median peak by phase of `fresh.peak_memory`, and a dot for each process."""
    series = list(table["series"].unique())
    phases = [phase for phase in PHASES if phase in set(table["phase"])]
    figure = style.Picture(8, 1.6 + 0.85 * len(series))
    axes = figure.add_subplot()
    height = 0.8 / len(phases)
    for number, phase in enumerate(phases):
        places = np.arange(len(series)) + (number - (len(phases) - 1) / 2) * height
        groups = [table[(table["series"] == s) & (table["phase"] == phase)] for s in series]
        peaks = [rows["peak_mb"].median() for rows in groups]
        axes.barh(places, peaks, height=0.9 * height, color=PHASES[phase], label=phase)
        for place, rows, peak in zip(places, groups, peaks, strict=True):
            axes.scatter(
                rows["peak_mb"], np.full(len(rows), place), color=style.BLACK, s=6, zorder=3
            )
            style.write_beside(axes, f"{peak:,.0f}", (rows["peak_mb"].max(), place), (6, 0))
    axes.set_yticks(np.arange(len(series)), [str(name) for name in series])
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set_xlabel("most memory held by a process that did this alone (MB)")
    axes.set_ylabel("series")
    axes.set_title("How much memory does it take?")
    style.plain(axes, values="x")
    figure.explain(len(phases))
    return figure
