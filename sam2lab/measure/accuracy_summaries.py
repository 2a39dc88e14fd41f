"""Summarise the table of `evaluate` in a few numbers, each with its interval.

Objects of one photo resemble each other, so an interval comes from drawing whole photos.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from sam2lab.measure.statistics import Interval, tail_share

RESAMPLES = 2000
# Thousands of photos, each drawn thousands of times, would fill the memory if all at once.
RESAMPLES_AT_ONCE = 100

COMPARABLE = ["engine", "kind", "clicks"]
"""Rows that agree in these columns are comparable; a mean over other rows has no meaning."""

HEADLINES = {
    "1 click, best-scored": ("clicks", 1, "iou"),
    "1 click, best of 3": ("clicks", 1, "best_of_three"),
    "box": ("box", 0, "iou"),
    "3 clicks with correction": ("clicks", 3, "iou"),
    "boundary F, box": ("box", 0, "boundary_f"),
}
CORRELATION = "score's correlation with IoU, 1 click"


def mean_interval(
    values: npt.ArrayLike, photos: npt.ArrayLike, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The mean over objects, with a 95 % bootstrap interval from drawing photos, not objects.

    `photos` names each value's photo. The ends are percentiles (see `statistics.tail_share`).
    Fewer than 4 photos have no interval.

    >>> mean_interval([0.2, 0.4, 0.9], ["a", "a", "b"])
    Interval(value=0.5, low=nan, high=nan)
    """
    numbers = np.asarray(values, np.float64)
    if not len(numbers):
        return Interval(np.nan, np.nan, np.nan)
    columns = [numbers, np.ones_like(numbers)]
    return _interval(columns, photos, lambda total, count: total / count, resamples, seed)


def correlation_interval(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    photos: npt.ArrayLike,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Pearson's correlation of two series, with an interval as that of `mean_interval`.

    >>> correlation_interval([0.1, 0.2, 0.3], [0.3, 0.5, 0.7], ["a", "a", "b"])
    Interval(value=1.0, low=nan, high=nan)
    """
    # Of centred and scaled values, so that the sums below lose no digits.
    x, y = (_standard(np.asarray(each, np.float64)) for each in (a, b))
    if not len(x) or np.isnan([x, y]).any():
        return Interval(np.nan, np.nan, np.nan)
    columns = [x, y, x * x, y * y, x * y, np.ones_like(x)]
    return _interval(columns, photos, _pearson, resamples, seed)


def summarise_accuracy(
    table: pd.DataFrame, by: Sequence[str] = (), column: str = "iou", seed: int = 0
) -> pd.DataFrame:
    """The mean of a column for each engine, kind of prompt and number of clicks.

    `by` names further columns to tell apart, such as "size". Columns: those, `objects`,
    `photos`, `mean`, with its 95 % interval `low` to `high`, and `median`.
    """
    return pd.DataFrame(
        {
            **group,
            "objects": len(known),
            "photos": known["image"].nunique(),
            **_mean(known, column, "mean", seed),
            "median": known[column].median(),
        }
        for group, answers in _groups(table, [*COMPARABLE, *by])
        for known in [answers.dropna(subset=[column])]
    )


def accuracy_differences(
    table: pd.DataFrame, baseline: str | None = None, column: str = "iou", seed: int = 0
) -> pd.DataFrame:
    """The gain or loss of each engine against the `baseline`, by default the first one.

    Each object is compared with itself, so that even a loss shows that is far smaller than the
    spread between easy and hard objects. Columns: `engine`, `baseline`, `kind`, `clicks`, `objects`
    that both answered, `difference` (mean; below 0 is worse) with its 95 % interval `low` to
    `high`, and `worse_share` of the objects.
    """
    engines = list(table["engine"].unique())
    baseline = engines[0] if baseline is None and engines else baseline
    if baseline not in engines:
        raise ValueError(f"baseline is {baseline!r}; wanted one of {', '.join(engines)}")
    keys = ["image", "object", "kind", "clicks"]
    base = table.loc[table["engine"] == baseline, [*keys, column]]
    others = table.loc[table["engine"] != baseline, ["engine", *keys, column]]
    pairs = others.merge(base, on=keys, suffixes=("", "_base"))
    pairs["difference"] = pairs[column] - pairs[f"{column}_base"]
    pairs = pairs.dropna(subset=["difference"])
    return pd.DataFrame(
        {
            "engine": group["engine"],
            "baseline": baseline,
            "kind": group["kind"],
            "clicks": group["clicks"],
            "objects": len(both),
            **_mean(both, "difference", "difference", seed),
            "worse_share": float((both["difference"] < 0).mean()),
        }
        for group, both in _groups(pairs, COMPARABLE)
    )


def clicks_needed(table: pd.DataFrame, target: float) -> pd.DataFrame:
    """The number of clicks that each object takes to reach an IoU: NoC, as papers count it.

    Columns: `engine`, `image`, `object`, `clicks`, `reached`. An object that never reaches it
    counts with all clicks that were allowed.
    """
    asked = table[table["kind"] == "clicks"]
    if asked.empty:
        raise ValueError('table has no rows of kind "clicks"; evaluate with kinds=("clicks",)')
    allowed = int(asked["clicks"].max())
    keys = ["engine", "image", "object"]
    every = asked[[*keys, "area_px", "size"]].drop_duplicates(keys)
    there = asked[asked["iou"] >= target].groupby(keys, as_index=False)["clicks"].min()
    counted = every.merge(there, on=keys, how="left")
    counted["reached"] = counted["clicks"].notna()
    counted["clicks"] = counted["clicks"].fillna(allowed).astype(int)
    return counted


def number_of_clicks(
    table: pd.DataFrame, targets: Sequence[float] = (0.85, 0.90), seed: int = 0
) -> pd.DataFrame:
    """NoC by engine and target: `clicks` (mean) with its interval, and the share that `failed`."""
    return pd.DataFrame(
        {
            **group,
            "target": target,
            "objects": len(counted),
            **_mean(counted, "clicks", "clicks", seed),
            "failed": float((~counted["reached"]).mean()),
        }
        for target in targets
        for group, counted in _groups(clicks_needed(table, target), ["engine"])
    )


def headline_accuracy(table: pd.DataFrame, above_px: int = 0, seed: int = 0) -> pd.DataFrame:
    """The figures that sum up how good a model is, for each engine.

    Columns: `engine`, `question` (a name in `HEADLINES`, whose means they are, or `CORRELATION`),
    `objects` and `photos`, `value` with its 95 % interval `low` to `high`. Objects of at most
    `above_px` pixels are left out.
    """
    counted = table[table["area_px"] > above_px]
    rows = []
    for engine in table["engine"].unique():
        for question, (kind, clicks, column) in HEADLINES.items():
            answers = _asked(counted, engine, kind, clicks)
            figure = _mean(answers, column, "value", seed)
            rows.append({"engine": engine, "question": question, **_counts(answers), **figure})
        answers = _asked(counted, engine, "clicks", 1)
        value, low, high = correlation_interval(
            answers["score"], answers["iou"], answers["image"], seed=seed
        )
        figure = {"value": value, "low": low, "high": high}
        rows.append({"engine": engine, "question": CORRELATION, **_counts(answers), **figure})
    return pd.DataFrame(rows)


def _asked(table: pd.DataFrame, engine: str, kind: str, clicks: int) -> pd.DataFrame:
    is_asked = (table["kind"] == kind) & (table["clicks"] == clicks)
    return table[is_asked & (table["engine"] == engine)]


def _counts(answers: pd.DataFrame) -> dict[str, int]:
    return {"objects": len(answers), "photos": answers["image"].nunique()}


def _groups(table: pd.DataFrame, by: Sequence[str]) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Each group of rows with its values of `by`, in the order of the table."""
    return [
        (dict(zip(by, key, strict=True)), rows)
        for key, rows in table.groupby(list(by), sort=False, observed=True)
    ]


def _mean(answers: pd.DataFrame, column: str, name: str, seed: int) -> dict[str, float]:
    """The mean of a column under a name, and its interval."""
    value, low, high = mean_interval(answers[column], answers["image"], seed=seed)
    return {name: value, "low": low, "high": high}


def _interval(
    columns: Sequence[npt.NDArray[np.float64]],
    photos: npt.ArrayLike,
    statistic: Callable[..., Any],
    resamples: int,
    seed: int,
) -> Interval:
    """A statistic of the columns' sums, with a 95 % bootstrap interval from drawing photos."""
    names, photo = np.unique(np.asarray(photos), return_inverse=True)
    sums = [np.bincount(photo, column) for column in columns]
    value = float(statistic(*(column.sum() for column in columns)))
    if len(names) < 4:
        return Interval(value, np.nan, np.nan)
    ends = stats.bootstrap(
        sums,
        lambda *drawn, axis: statistic(*(each.sum(axis) for each in drawn)),
        paired=True,
        n_resamples=resamples,
        batch=RESAMPLES_AT_ONCE,
        confidence_level=1 - 2 * tail_share(len(names)),
        method="percentile",
        rng=seed,
    ).confidence_interval
    return Interval(value, float(ends.low), float(ends.high))


def _standard(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        return (values - values.mean()) / values.std() if len(values) else values


def _pearson(x: Any, y: Any, xx: Any, yy: Any, xy: Any, n: Any) -> Any:
    return (n * xy - x * y) / np.sqrt((n * xx - x * x) * (n * yy - y * y))
