"""Summarise a series of times, with intervals. Arrays in run order go in, numbers come out.

Times are not normally distributed: the first are slow, some are very slow, and neighbours
resemble each other. So everything here uses medians and ranks, the end of the warm-up is found
in the data, and a bootstrap of whole blocks of runs gives the interval of the median.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

Times = npt.NDArray[np.float64]

PERCENTILES = (5, 50, 90, 95, 99)

# Times this, the mean absolute deviation of normal noise is its standard deviation.
MEAN_AD_TO_SIGMA = 1.2533

# Iglewicz and Hoaglin (1993): further than this from the median is an outlier.
OUTLIER_SIGMAS = 3.5

# The search for the end of the warm-up counts only the logarithm of times further out: a
# single wild run must not hide a step, and many small ones must not hide a slow beginning.
LIMIT_SIGMAS = 5.0

# A distance is usual if this share of the steady runs stays within it.
USUAL_SHARE = 0.95

# Fewer runs than this cannot tell a warm-up from chance.
FEWEST_RUNS = 8

# All pairs of more values than this, or more runs drawn at a time, would fill the memory.
MOST_PAIRED = 1000
MOST_DRAWN = 2_000_000


class Interval(NamedTuple):
    """An estimate and the ends of its 95 % interval, which are NaN where nothing can be said."""

    value: float
    low: float
    high: float


def warm_up_end(values: npt.ArrayLike) -> int:
    """The number of first runs that are warm-up: up to the last change point down to a level.

    Times are measured from the median of the second half, in units of its spread, beyond 5 of
    them on a logarithmic scale. For every k in the first half, a step down after run k is fitted
    by least squares, beside a straight line that takes up drift. The best step is accepted if
    the Bayesian information criterion, with 3 parameters for its height and place, prefers it to
    the line alone and to a constant; runs that resemble their neighbours have less weight there.
    If no step is accepted, the logarithmic scale begins at the distance that 95 % of the second
    half stay within: on a busy machine many runs are far off, but a slow beginning is further
    off. The rest is searched again, since warming up may take several steps (binary segmentation,
    as in change point analysis, from the left). The result is 0 if no step is found, and for
    fewer than 8 runs. A load that swings slowly may still be mistaken for a warm-up.

    >>> warm_up_end([900.0, 250, 249, 201, 200, 202, 199, 201, 200, 202, 198, 200, 201, 199])
    3
    """
    series = checked(values)
    end = 0
    while len(series) - end >= FEWEST_RUNS:
        step = _step_down(series[end:])
        if step == 0:
            break
        end += step
    return end


def median_interval(values: npt.ArrayLike, resamples: int = 2000, seed: int = 0) -> Interval:
    """The median, with a 95 % bootstrap interval.

    Blocks of about the cube root of n successive runs are drawn, not single runs, since runs
    that lie near each other resemble each other (circular block bootstrap, Politis and Romano
    1992). The ends are percentiles of the medians drawn (see `tail_share`). Fewer than 4 runs
    have no interval.
    """
    series = checked(values)
    n = len(series)
    if n < 4:
        return Interval(float(np.median(series)), np.nan, np.nan)
    block = int(np.ceil(n ** (1 / 3)))
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, n, (resamples, -(-n // block), 1))
    at_once = max(1, MOST_DRAWN // n)
    medians = []
    for first in range(0, resamples, at_once):
        drawn = (starts[first : first + at_once] + np.arange(block)) % n
        medians.append(np.median(series[drawn.reshape(len(drawn), -1)[:, :n]], axis=1))
    outside = tail_share(n / block)
    low, high = np.quantile(np.concatenate(medians), [outside, 1 - outside])
    return Interval(float(np.median(series)), float(low), float(high))


def tail_share(drawn: float) -> float:
    """The share of a bootstrap's results to leave out at each end, for an interval of 95 %.

    Fewer units `drawn` at a time need ends further out: Student's t takes the place of the
    normal distribution (Hesterberg 2015).

    >>> round(tail_share(5), 4), round(tail_share(10_000), 4)
    (0.001, 0.025)
    """
    return float(stats.norm.cdf(np.sqrt(drawn / (drawn - 1)) * stats.t.ppf(0.025, drawn - 1)))


def drift_percent(values: npt.ArrayLike) -> Interval:
    """The slowdown from the first run to the last, in percent of the median.

    The slope is Theil and Sen's, the median of the slopes between all pairs of runs, with Sen's
    95 % interval: if that holds 0, no drift was shown. It is too narrow where neighbouring runs
    resemble each other. More than 1000 runs are cut into at most 1000 equal stretches, and the
    medians of these are compared.

    >>> round(drift_percent(100 + np.arange(50)).value, 1)
    39.4
    """
    series = checked(values)
    if len(series) < 3:
        return Interval(np.nan, np.nan, np.nan)
    # Equal ones, since the median of a skewed distribution depends on how many values it is of.
    length = -(-len(series) // MOST_PAIRED)
    stretches = [slice(start, start + length) for start in range(0, len(series), length)]
    runs = np.arange(len(series))
    found = stats.theilslopes(
        [np.median(series[stretch]) for stretch in stretches],
        [runs[stretch].mean() for stretch in stretches],
    )
    over_all = 100 * (len(series) - 1) / float(np.median(series))
    ends = (found.slope, found.low_slope, found.high_slope)
    return Interval(*(float(slope) * over_all for slope in ends))


def outliers(values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """True for each run more than 3.5 robust standard deviations from the median, either way.

    They are to be reported, never dropped: a user waits for these runs too.

    >>> outliers([10.0, 11, 10, 9, 10, 11, 60]).tolist()
    [False, False, False, False, False, False, True]
    """
    series = checked(values)
    centre, spread = _centre_and_spread(series)
    return np.abs(series - centre) > OUTLIER_SIGMAS * spread


def checked(values: npt.ArrayLike) -> Times:
    """The values as a series of at least one finite number, or a `ValueError`."""
    series = np.asarray(values, np.float64)
    if series.ndim != 1 or not len(series):
        raise ValueError(f"values has shape {series.shape}; wanted at least one time, in run order")
    if not np.isfinite(series).all():
        missing = int(np.count_nonzero(~np.isfinite(series)))
        raise ValueError(
            f"values holds {missing} of {len(series)} that are no finite number; leave those "
            "runs out, such as the opening, which has no stages"
        )
    return series


def _step_down(series: Times) -> int:
    """The number of runs before the best step down, or 0 if none is accepted."""
    n = len(series)
    centre, spread = _centre_and_spread(series[n // 2 :])
    # Times that are all the same have no spread: take a millionth of them.
    unit = spread or 1e-6 * abs(centre) or 1.0
    z = (series - centre) / unit
    usual = float(np.quantile(np.abs(z[n // 2 :]), USUAL_SHARE))
    return _best_step(_damped(z, LIMIT_SIGMAS)) or _best_step(_damped(z, max(LIMIT_SIGMAS, usual)))


def _best_step(z: Times) -> int:
    """The number of runs before the best step down of these distances, or 0."""
    n = len(z)
    runs = np.arange(n)
    line = np.linalg.qr(np.stack([np.ones(n), runs - runs.mean()], axis=1))[0]
    # `left` is what the line does not explain. A step is 1 for the first runs and then 0, so its
    # product with `left` is a cumulative sum; `like_line` is the part of a step that is a line.
    left = z - line @ (line.T @ z)
    product = np.cumsum(left)[: n // 2]
    like_line = np.cumsum(line, axis=0)[: n // 2]
    square = np.arange(1, n // 2 + 1) - (like_line**2).sum(axis=1)
    best = int(np.argmax(np.where(product > 0, product**2 / square, 0.0)))

    step = (runs <= best) - line @ like_line[best]
    unexplained = left - max(product[best], 0.0) / square[best] * step
    # Runs that resemble their neighbours are worth fewer independent ones: a machine whose load
    # swings must not look as if it had been warming up.
    resembling = float(unexplained[1:] @ unexplained[:-1] / max(unexplained @ unexplained, 1e-9))
    resembling = min(max(resembling, 0.0), 0.95)
    worth = max(n * (1 - resembling) / (1 + resembling), 2.0)
    flat = _criterion(z - z.mean(), 1, worth)
    straight = _criterion(left, 2, worth)
    stepped = _criterion(unexplained, 5, worth)
    return best + 1 if stepped < min(flat, straight) else 0


def _damped(z: Times, limit: float) -> Times:
    """Distances as they are up to the limit, and growing by their logarithm beyond it."""
    beyond = np.maximum(np.abs(z) / limit, 1.0)
    return np.clip(z, -limit, limit) * (1 + np.log(beyond))


def _criterion(unexplained: Times, parameters: int, worth: float) -> float:
    """Bayesian information criterion of a fit to values worth `worth` independent ones."""
    # Without a floor, a perfect fit would be infinitely better than a nearly perfect one.
    mean_square = max(float(np.mean(unexplained**2)), 1e-9)
    return worth * float(np.log(mean_square)) + parameters * float(np.log(worth))


def _centre_and_spread(series: Times) -> tuple[float, float]:
    """Median and robust standard deviation, which is 0 for values that are all the same."""
    centre = float(np.median(series))
    # Where more than half the values are equal, only the mean distance sees the others.
    spread = stats.median_abs_deviation(series, scale="normal")
    return centre, float(spread or MEAN_AD_TO_SIGMA * np.abs(series - centre).mean())
