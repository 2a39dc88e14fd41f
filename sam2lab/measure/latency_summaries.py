"""Summarise tables of runs in a few numbers, each with its interval."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sam2lab.measure import statistics
from sam2lab.measure.statistics import PERCENTILES


def summarise_latency(table: pd.DataFrame, column: str = "total_ms") -> pd.DataFrame:
    """One row for each series of a table of `time_in_turn`.

    `runs`; `open_ms` and `first_ms` (NaN where that was not measured); `warm_up_runs`, found in
    the data (see `statistics.warm_up_end`). Then, of the runs after the warm-up: `median_ms`
    with its 95 % interval `median_low_ms` to `median_high_ms`, `p5_ms` … `p99_ms`, and two
    reasons for doubt: `drift_percent` from first to last with its interval, and the number of
    `outliers`, which stay in. `column` is the time to look at.
    """
    rows = []
    for name, runs in _runs(table, column).items():
        values = runs.to_numpy()
        end = statistics.warm_up_end(values)
        steady = values[end:]
        opening = table.loc[(table["series"] == name) & (table["phase"] == "open"), "total_ms"]
        median = statistics.median_interval(steady)
        drift = statistics.drift_percent(steady)
        percentiles = np.percentile(steady, PERCENTILES)
        rows.append(
            {
                "series": name,
                "runs": len(values),
                "open_ms": opening.max(),
                "first_ms": runs.get(1, np.nan),
                "warm_up_runs": end,
                "median_ms": median.value,
                "median_low_ms": median.low,
                "median_high_ms": median.high,
                **{f"p{p}_ms": v for p, v in zip(PERCENTILES, percentiles, strict=True)},
                "drift_percent": drift.value,
                "drift_low_percent": drift.low,
                "drift_high_percent": drift.high,
                "outliers": int(statistics.outliers(steady).sum()),
            }
        )
    return pd.DataFrame(rows)


def latency_ratios(
    table: pd.DataFrame, baseline: str | int | None = None, column: str = "total_ms"
) -> pd.DataFrame:
    """The time of each other series as a multiple of the `baseline`'s, round by round.

    Two runs of one round were made within moments of each other, so a load on the machine slowed
    both, and cancels in their quotient. Columns: `series`, `baseline`, `rounds` (after
    the later of the two warm-ups), `ratio` (the median of the quotients; below 1 is faster) with
    its 95 % interval `ratio_low` to `ratio_high`. The baseline is the first series by default.
    """
    runs = _runs(table, column)
    if baseline is None:
        baseline = next(iter(runs))
    if baseline not in runs:
        raise ValueError(f"baseline is {baseline!r}; wanted one of {', '.join(map(repr, runs))}")
    warm = {
        name: runs[name].iloc[statistics.warm_up_end(series) :] for name, series in runs.items()
    }
    rows = []
    for name, series in warm.items():
        if name == baseline:
            continue
        # Rounds in which both were timed; an interrupt may have come between the two.
        quotients = (series / warm[baseline]).dropna()
        ratio = statistics.median_interval(quotients.to_numpy())
        rows.append(
            {
                "series": name,
                "baseline": baseline,
                "rounds": len(quotients),
                "ratio": ratio.value,
                "ratio_low": ratio.low,
                "ratio_high": ratio.high,
            }
        )
    return pd.DataFrame(rows)


def steady_runs(table: pd.DataFrame, column: str = "total_ms") -> pd.DataFrame:
    """The runs after each series' warm-up, as found in `column`; all columns, in order."""
    kept = [
        table[(table["series"] == name) & table["run"].isin(runs.index[end:])]
        for name, runs in _runs(table, column).items()
        for end in [statistics.warm_up_end(runs.to_numpy())]
    ]
    chosen = pd.concat(kept).sort_index()
    chosen.attrs = table.attrs
    return chosen


def _runs(table: pd.DataFrame, column: str) -> dict[str | int, pd.Series]:
    """The times of each series by run number, without the opening."""
    times = [name for name in table.columns if name.endswith("_ms")]
    if column not in times:
        raise ValueError(f"column is {column!r}; wanted one of {', '.join(times)}")
    asked = table[table["phase"] != "open"]
    if asked.empty:
        raise ValueError("table holds no run; an interrupt may have come before the first one")
    return {
        name: rows.set_index("run")[column] for name, rows in asked.groupby("series", sort=False)
    }
