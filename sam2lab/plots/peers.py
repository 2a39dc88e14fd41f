"""Peers beside ours: times as multiples of ours, memory and files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from sam2lab.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, Picture, plain

TIMES = {
    "encode": ("encode a photo", BLUE),
    "decode": ("one prompt", GREEN),
    "many": ("each of 64 prompts", ORANGE),
    "first_mask": ("import to first mask", PURPLE),
}
MASSES = {"peak_mb": ("peak memory, encoding (MB)", BLUE), "files_mb": ("files (MB)", GREY)}


def peer_ratios(summary: pd.DataFrame) -> Figure:
    """Each contender's times as multiples of ours, with 95 % intervals, a panel for each task.

    `summary` is that of a `Comparison`, ours in the first row. Who did not run is named at the
    side; who takes no several prompts in one call has no dot there.
    """
    ours, *names = summary["contender"]
    rows = summary.set_index("contender").loc[names]
    places = np.arange(len(rows))
    figure = Picture(figsize=(12, 1.7 + 0.42 * len(rows)), layout="constrained")
    panels = figure.subplots(1, len(TIMES), sharey=True)
    for axes, (stem, (title, colour)) in zip(panels, TIMES.items(), strict=True):
        ratio, low, high = (
            rows[f"{stem}_{end}"].to_numpy(np.float64) for end in ("ratio", "low", "high")
        )
        around = np.nan_to_num(np.abs([ratio - low, high - ratio]))
        axes.set_xscale("log")
        axes.axvline(1, color=BLACK, linewidth=1)
        axes.errorbar(ratio, places, xerr=around, fmt="s", color=colour, capsize=3, markersize=5)
        for place, value in zip(places, ratio, strict=True):
            if np.isfinite(value):
                axes.annotate(
                    f"{value:.3g}",
                    (value, place),
                    (0, 6),
                    textcoords="offset points",
                    ha="center",
                    fontsize=8,
                )
        ends = np.concatenate([ratio, low, high, [1]])
        axes.set_xlim(np.nanmin(ends) / 1.4, np.nanmax(ends) * 1.4)
        axes.set_title(title, fontsize=10)
        _plain_ratio(axes)
    panels[0].set_yticks(places, [_label(row) for _, row in rows.reset_index().iterrows()])
    panels[0].set_ylim(len(rows) - 0.4, -0.7)
    figure.supxlabel(f"time as a multiple of {ours}'s, round by round: right of 1 is slower")
    return figure


def peer_masses(summary: pd.DataFrame) -> Figure:
    """Bars of each contender's peak memory and of its files; `summary` as for `peer_ratios`."""
    rows = summary[summary["state"] == "ran"]
    places = np.arange(len(rows))
    figure = Picture(figsize=(10, 1.3 + 0.4 * len(rows)), layout="constrained")
    panels = figure.subplots(1, len(MASSES), sharey=True)
    for axes, (column, (label, colour)) in zip(panels, MASSES.items(), strict=True):
        values = rows[column].to_numpy(np.float64)
        axes.barh(places, np.nan_to_num(values), color=colour, height=0.65)
        for place, value in zip(places, values, strict=True):
            text = f"{value:,.0f}" if np.isfinite(value) else "not measured"
            axes.annotate(
                text,
                (np.nan_to_num(value), place),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        axes.margins(x=0.15)
        axes.set_xlabel(label)
        plain(axes, values="x")
    panels[0].set_yticks(places, list(rows["contender"]))
    panels[0].invert_yaxis()
    return figure


def _label(row: pd.Series) -> str:
    return str(row["contender"]) + ("" if row["state"] == "ran" else f"\n({row['state']})")


def _plain_ratio(axes: Any) -> None:
    plain(axes, values="x")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    low, high = axes.get_xlim()
    # Within a decade, powers of ten alone would leave the axis with a single number.
    if high < 10 * low:
        axes.xaxis.set_minor_formatter(
            FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "2357" else "")
        )
    else:
        axes.xaxis.set_minor_formatter(NullFormatter())
