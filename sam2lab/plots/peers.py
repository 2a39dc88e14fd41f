"""Draw peers beside ours: times as multiples of ours, memory and files."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sam2lab.plots import style

TIMES = {
    "encode": ("encode a photo", style.BLUE),
    "decode": ("one prompt", style.GREEN),
    "many": ("each of 64 prompts", style.ORANGE),
    "first_mask": ("import to first mask", style.PURPLE),
}
MASSES = {
    "peak_mb": ("peak memory, encoding (MB)", style.BLUE),
    "files_mb": ("files (MB)", style.GREY),
}


def peer_ratios(summary: pd.DataFrame) -> Figure:
    """Each contender's times as multiples of ours, with 95 % intervals, a panel for each task.

    `summary` is that of a `Comparison`, ours in the first row. A peer that did not run is
    named at the side; one that takes a single prompt in a call has no dot for 64 prompts.
    """
    ours, *names = summary["contender"]
    rows = summary.set_index("contender").loc[names]
    places = np.arange(len(rows))
    figure = style.Picture(12, 1.7 + 0.42 * len(rows))
    panels = figure.subplots(1, len(TIMES), sharey=True)
    for axes, (stem, (title, colour)) in zip(panels, TIMES.items(), strict=True):
        ratio, low, high = (
            rows[f"{stem}_{end}"].to_numpy(np.float64) for end in ("ratio", "low", "high")
        )
        around = np.nan_to_num(np.abs([ratio - low, high - ratio]))
        axes.set_xscale("log")
        axes.axvline(1, color=style.BLACK, linewidth=1)
        axes.errorbar(ratio, places, xerr=around, fmt="s", color=colour, capsize=3, markersize=5)
        for place, value in zip(places, ratio, strict=True):
            if np.isfinite(value):
                style.write_beside(axes, f"{value:.3g}", (value, place), (0, 6), "center")
        ends = np.concatenate([ratio, low, high, [1]])
        axes.set_xlim(np.nanmin(ends) / 1.4, np.nanmax(ends) * 1.4)
        axes.set_title(title, fontsize=10)
        style.plain_numbers(axes, "x")
    panels[0].set_yticks(places, [_label(row) for _, row in rows.reset_index().iterrows()])
    panels[0].set_ylim(len(rows) - 0.4, -0.7)
    figure.supxlabel(f"time as a multiple of {ours}'s, round by round: right of 1 is slower")
    return figure


def peer_masses(summary: pd.DataFrame) -> Figure:
    """Bars of each contender's peak memory and of its files; `summary` as for `peer_ratios`."""
    rows = summary[summary["state"] == "ran"]
    places = np.arange(len(rows))
    figure = style.Picture(10, 1.3 + 0.4 * len(rows))
    panels = figure.subplots(1, len(MASSES), sharey=True)
    for axes, (column, (label, colour)) in zip(panels, MASSES.items(), strict=True):
        values = rows[column].to_numpy(np.float64)
        axes.barh(places, np.nan_to_num(values), color=colour, height=0.65)
        for place, value in zip(places, values, strict=True):
            text = f"{value:,.0f}" if np.isfinite(value) else "not measured"
            style.write_beside(axes, text, (np.nan_to_num(value), place), (4, 0))
        axes.margins(x=0.15)
        axes.set_xlabel(label)
        style.plain(axes, values="x")
    panels[0].set_yticks(places, list(rows["contender"]))
    panels[0].invert_yaxis()
    return figure


def _label(row: pd.Series) -> str:
    return str(row["contender"]) + ("" if row["state"] == "ran" else f"\n({row['state']})")
