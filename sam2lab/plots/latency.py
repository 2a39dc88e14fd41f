"""Draw times in the order measured, as distributions, as ratios and as studies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.cbook import violin_stats
from matplotlib.figure import Figure
from matplotlib.mlab import GaussianKDE
from matplotlib.ticker import MaxNLocator

from sam2lab.plots import style

LINES = ("-", "--", "-.", ":")

# If the slowest run takes this many times the median, the axis is logarithmic: on a linear one the
# others would all lie at its edge.
LOG_FROM = 8


def run_order(table: pd.DataFrame, summary: pd.DataFrame, column: str = "total_ms") -> Figure:
    """Every run in the order measured, a panel for each series, the warm-up marked.

    `table` is that of `time_in_turn`, `summary` that of `summarise_latency` of the same column.
    Hollow dots on yellow belong to the warm-up; the line is the median of the rest and the grey
    band goes from its 5th to its 95th percentile.
    """
    rows = summary.set_index("series")
    figure = style.Picture(9, 0.8 + 1.9 * len(rows))
    panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
    for place, (axes, (name, row)) in enumerate(zip(panels, rows.iterrows(), strict=True)):
        colour = style.colour(place)
        runs = table[(table["series"] == name) & (table["phase"] != "open")]
        warming = runs["run"] <= row["warm_up_runs"]
        axes.scatter(
            runs["run"],
            runs[column],
            s=14,
            facecolors=np.where(warming, "white", colour),
            edgecolors=colour,
            linewidths=1,
            zorder=3,
            clip_on=False,
        )
        if row["warm_up_runs"]:
            axes.axvspan(0.5, row["warm_up_runs"] + 0.5, color=style.YELLOW, alpha=0.6, linewidth=0)
        axes.axhspan(row["p5_ms"], row["p95_ms"], color="#e8e8e8", zorder=0, linewidth=0)
        axes.axhline(row["median_ms"], color=colour, linewidth=1)
        if runs[column].max() > LOG_FROM * row["median_ms"]:
            axes.set_yscale("log")
        axes.set_title(_heading(name, row), fontsize=10, loc="left")
        axes.set_ylabel(_label(column))
        style.plain_numbers(axes, "y")
        axes.set_xlim(0, runs["run"].max() + 1)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[-1].set_xlabel("run, in the order measured (hollow on yellow: warm-up)")
    return figure


def time_ecdf(table: pd.DataFrame, column: str = "total_ms") -> Figure:
    """For each time, the share of runs that took no longer; `table` as for `run_order`.

    Pass `steady_runs(table)` to leave the warm-up out.
    """
    groups = _times(table, column)
    figure = style.Picture(7, 4)
    axes = figure.add_subplot()
    for place, (name, times) in enumerate(groups.items()):
        axes.ecdf(
            times,
            color=style.colour(place),
            linestyle=LINES[place // len(style.SERIES) % len(LINES)],
            label=f"{name} ({len(times)} runs)",
            linewidth=1.6,
        )
    for share in (0.5, 0.95):
        axes.axhline(share, color=style.GREY, linestyle=":", linewidth=1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 0.95, 1])
    axes.set_ylabel("share of runs that took at most so long")
    axes.set_xlabel(_label(column))
    axes.set_title("How often is it how fast?")
    _log_if_wide(axes, groups, "x")
    style.plain_numbers(axes, "x")
    figure.explain(3)
    return figure


def time_violins(table: pd.DataFrame, column: str = "total_ms") -> Figure:
    """The distribution of each series as a violin, with its median; `table` as for `time_ecdf`.

    On a logarithmic axis it is the distribution of the logarithms.
    """
    groups = _times(table, column)
    figure = style.Picture(7, 1.2 + 0.8 * len(groups))
    axes = figure.add_subplot()
    places = np.arange(len(groups))
    _log_if_wide(axes, groups, "x")
    to_axis, to_times = (np.log, np.exp) if axes.get_xscale() == "log" else (np.copy, np.copy)
    for place, times in enumerate(groups.values()):
        colour = style.colour(place)
        # A violin of values that are all the same has no width.
        if np.ptp(times) > 0:
            (violin,) = violin_stats(to_axis(times), _density, points=1000)
            violin["coords"] = to_times(violin["coords"])
            drawn: Any = axes.violin(
                [violin], [place], orientation="horizontal", widths=0.8, showextrema=False
            )["bodies"]
            drawn[0].set(facecolor=colour, alpha=0.4)
        axes.scatter(times, np.full(len(times), place), marker="|", color=colour, alpha=0.5, s=30)
        axes.scatter(np.median(times), place, color=style.BLACK, zorder=4, s=24)
    axes.set_yticks(places, [str(name) for name in groups])
    axes.set_ylabel("series")
    axes.invert_yaxis()
    axes.set_xlabel(f"{_label(column)}; each stroke a run, the dot their median")
    axes.set_title("How do the times spread?")
    style.plain_numbers(axes, "x")
    return figure


def time_ratios(ratios: pd.DataFrame) -> Figure:
    """A forest plot of `latency_ratios`: each median ratio with its interval, 1 is as fast."""
    baseline = ratios["baseline"].iloc[0]
    places = np.arange(len(ratios))
    figure = style.Picture(7, 1.5 + 0.5 * len(ratios))
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.axvline(1, color=style.BLACK, linewidth=1)
    ends = ratios[["ratio_low", "ratio_high"]].to_numpy()
    around = np.abs(ends - ratios[["ratio"]].to_numpy()).T
    axes.errorbar(ratios["ratio"], places, xerr=around, fmt="s", color=style.BLUE, capsize=4)
    for place, row in zip(places, ratios.itertuples(), strict=True):
        text = f"{row.ratio:.3g}  [{row.ratio_low:.3g}, {row.ratio_high:.3g}]"
        axes.annotate(text, (1.02, place), xycoords=("axes fraction", "data"), va="center")
    axes.set_yticks(places, [f"{r.series} ({r.rounds} rounds)" for r in ratios.itertuples()])
    axes.set_ylim(len(ratios) - 0.4, -0.6)
    low, high = np.nanmin([*ends[:, 0], 1]), np.nanmax([*ends[:, 1], 1])
    axes.set_xlim(low / 1.15, high * 1.15)
    axes.set_xlabel(f"time as a multiple of {baseline}'s, round by round (95 % interval)")
    axes.set_ylabel("series")
    axes.set_title(f"Left of 1 is faster than {baseline}")
    style.plain_numbers(axes, "x")
    return figure


def time_study(summary: pd.DataFrame, varied: str, time: str = "time of one run") -> Figure:
    """The median with its interval for each value of what was varied, and how far runs spread.

    `summary` is that of `summarise_latency` over a table of `studies`; `varied` and `time` name
    the axes. The thin line goes from the 5th to the 95th percentile, the thick one is the 95 %
    interval of the median.
    """
    names = summary["series"]
    is_number = pd.api.types.is_numeric_dtype(names)
    places = names.to_numpy() if is_number else np.arange(len(names))
    # Numbers are short; names want room beside each other.
    width = 7 if is_number else max(7, 1.9 * len(names))
    figure = style.Picture(width, 3.8)
    axes = figure.add_subplot()
    axes.vlines(places, summary["p5_ms"], summary["p95_ms"], color=style.GREY, linewidth=1.2)
    axes.vlines(places, summary["median_low_ms"], summary["median_high_ms"], color=style.BLUE, lw=6)
    axes.plot(
        places, summary["median_ms"], "o-" if is_number else "o", color=style.BLACK, linewidth=0.8
    )
    if is_number and places.max() >= 8:
        axes.set_xscale("log", base=2)
    axes.set_xticks(places, [str(name) for name in names])
    axes.set_xticks([], minor=True)
    axes.margins(x=0.1)
    axes.set_ylim(0, 1.08 * summary["p95_ms"].max())
    axes.set(xlabel=varied, ylabel=f"{time} (ms)", title=f"Does it depend on the {varied}?")
    style.plain_numbers(axes, "y")
    return figure


def _heading(name: Any, row: pd.Series) -> str:
    warm_up = int(row["warm_up_runs"])
    return (
        f"{name}: median {row['median_ms']:,.4g} ms "
        f"[{row['median_low_ms']:,.4g}, {row['median_high_ms']:,.4g}], first run "
        f"{row['first_ms']:,.4g} ms, warm-up of {warm_up} run{'' if warm_up == 1 else 's'}"
    )


def _times(table: pd.DataFrame, column: str) -> dict[Any, np.ndarray]:
    asked = table[table["phase"] != "open"]
    return {name: rows[column].to_numpy() for name, rows in asked.groupby("series", sort=False)}


def _density(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A density of Gaussian kernels, their width by Silverman's rule of thumb (1986).

    The quartiles decide where wild runs would widen the kernels of all the others.
    """
    low, high = np.percentile(values, [25, 75])
    deviation = values.std(ddof=1)
    spread = min(deviation, (high - low) / 1.34) or deviation
    return GaussianKDE(values, 0.9 * len(values) ** -0.2 * spread / deviation).evaluate(at)


def _label(column: str) -> str:
    return f"{column.removesuffix('_ms')} (ms)"


def _log_if_wide(axes: Any, groups: dict[Any, np.ndarray], axis: str) -> None:
    medians = [np.median(times) for times in groups.values()]
    if max(times.max() for times in groups.values()) > LOG_FROM * min(medians):
        axes.set(**{f"{axis}scale": "log"})
