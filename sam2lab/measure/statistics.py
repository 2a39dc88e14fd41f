"""What a series of times says, and how sure that is. Arrays in run order go in, numbers come out.

Times are no sample from a bell curve: the first are slow, some are very slow, and neighbours
resemble each other. So everything here goes by medians and ranks, finds the end of the warm-up
in the data, and lets a bootstrap of whole blocks of runs say how far the median may be off.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

Series = npt.NDArray[np.float64]

PERCENTILES = (5, 50, 90, 95, 99)

# The scale by which the median absolute deviation, and the mean one, estimate the standard
# deviation of normal noise.
MAD_TO_SIGMA = 1.4826
MEAN_AD_TO_SIGMA = 1.2533

# Iglewicz and Hoaglin (1993): further than this from the median is an outlier.
OUTLIER_SIGMAS = 3.5

# Beyond this a distance counts by its logarithm only in the search for the end of the warm-up:
# one wild run must not hide a step, nor many little ones a beginning that was far slower.
LIMIT_SIGMAS = 5.0

# What so many of the steady runs stay within is usual, and the rest wild.
USUAL_SHARE = 0.95

# Fewer runs than this cannot tell a warm-up from chance.
FEWEST_RUNS = 8

# More pairs of runs than this, or more runs drawn at a time, would fill the memory.
MOST_PAIRS = 2_000_000
MOST_DRAWN = 2_000_000


class Interval(NamedTuple):
    """An estimate and the ends of its 95 % interval, which are NaN where nothing can be said."""

    value: float
    low: float
    high: float


def warm_up_end(values: npt.ArrayLike) -> int:
    """How many of the first runs are warm-up: the last change point that leads down to a level.

    Times are measured from the median of the second half, in units of its spread, beyond 5 of
    them on a logarithmic scale. For every k in the first half, a step down after run k is fitted
    by least squares, beside a straight line that takes up drift. The best step counts where the
    Bayesian information criterion, with 3 parameters for its height and place, prefers it to the
    line alone and to a constant; there, runs that resemble their neighbours count for less. Where
    none counts, the logarithmic scale begins at what 95 % of the second half stay within: on a
    busy machine many runs are far off, and a slow beginning is still further off than they are.
    What remains is searched again, since warming up may take several steps (binary segmentation,
    as in change point analysis, from the left). 0 where nothing of the kind is found, and below 8
    runs. A machine that swings slowly between loads may still be taken to warm up.

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
    1992). The ends are percentiles of the medians drawn, further out the fewer blocks there are
    (Student's t in place of the normal: Hesterberg 2015). Fewer than 4 runs have no interval.
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
    blocks = n / block
    outside = stats.norm.cdf(np.sqrt(blocks / (blocks - 1)) * stats.t.ppf(0.025, blocks - 1))
    low, high = np.quantile(np.concatenate(medians), [outside, 1 - outside])
    return Interval(float(np.median(series)), float(low), float(high))


def drift_percent(values: npt.ArrayLike) -> Interval:
    """How much slower the last run is than the first, in percent of the median.

    The Theil-Sen line, the median of the slopes between all pairs of runs, with Sen's 95 %
    interval: where that holds 0, no drift was shown. Neighbouring runs that resemble each other
    make it too narrow. Of more than 2000 runs, 2 million pairs are drawn.

    >>> round(drift_percent(100 + np.arange(50)).value, 1)
    39.4
    """
    series = checked(values)
    if len(series) < 3:
        return Interval(np.nan, np.nan, np.nan)
    slopes = _slopes(series)
    # By so much the pairs that rise outnumber those that fall, or the other way round, where
    # there is no drift (Kendall, with ties): as a share of all pairs.
    n, ties = len(series), np.unique(series, return_counts=True)[1]
    variance = (n * (n - 1) * (2 * n + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18
    excess = stats.norm.ppf(0.975) * np.sqrt(variance) / (n * (n - 1) / 2) * len(slopes)
    low = max(round((len(slopes) - excess) / 2) - 1, 0)
    high = min(round((len(slopes) + excess) / 2), len(slopes) - 1)
    over_all = 100 * (n - 1) / float(np.median(series))
    ends = (np.median(slopes), slopes[low], slopes[high])
    return Interval(*(float(slope) * over_all for slope in ends))


def outliers(values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Which runs lie more than 3.5 robust standard deviations from the median, either way.

    To be reported, never dropped: who waits, waits for these too.

    >>> outliers([10.0, 11, 10, 9, 10, 11, 60]).tolist()
    [False, False, False, False, False, False, True]
    """
    series = checked(values)
    centre, spread = _centre_and_spread(series)
    return np.abs(series - centre) > OUTLIER_SIGMAS * spread


def checked(values: npt.ArrayLike) -> Series:
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


def _step_down(series: Series) -> int:
    """After how many runs the best step down comes, or 0 if there is none to be believed."""
    n = len(series)
    centre, spread = _centre_and_spread(series[n // 2 :])
    # Times that are all the same have no spread; a millionth of them stands for it.
    unit = spread or 1e-6 * abs(centre) or 1.0
    z = (series - centre) / unit
    usual = float(np.quantile(np.abs(z[n // 2 :]), USUAL_SHARE))
    return _best_step(_damped(z, LIMIT_SIGMAS)) or _best_step(_damped(z, max(LIMIT_SIGMAS, usual)))


def _best_step(z: Series) -> int:
    """After how many runs the best step down of these distances comes, or 0."""
    n = len(z)
    runs = np.arange(n)
    line = np.linalg.qr(np.stack([np.ones(n), runs - runs.mean()], axis=1))[0]
    # What the line leaves unexplained of the series. A step is 1 as far as it goes and then 0, so
    # that a sum of the first values is its product with them; so far it looks like a line itself.
    left = z - line @ (line.T @ z)
    product = np.cumsum(left)[: n // 2]
    like_line = np.cumsum(line, axis=0)[: n // 2]
    square = np.arange(1, n // 2 + 1) - (like_line**2).sum(axis=1)
    best = int(np.argmax(np.where(product > 0, product**2 / square, 0.0)))

    step = (runs <= best) - line @ like_line[best]
    unexplained = left - max(product[best], 0.0) / square[best] * step
    # Runs that resemble their neighbours say less than as many that do not: a machine whose
    # load swings must not look as if it had been warming up.
    resembling = float(unexplained[1:] @ unexplained[:-1] / max(unexplained @ unexplained, 1e-9))
    resembling = min(max(resembling, 0.0), 0.95)
    worth = max(n * (1 - resembling) / (1 + resembling), 2.0)
    flat = _criterion(z - z.mean(), 1, worth)
    straight = _criterion(left, 2, worth)
    stepped = _criterion(unexplained, 5, worth)
    return best + 1 if stepped < min(flat, straight) else 0


def _slopes(series: Series) -> Series:
    """The slopes between all pairs of runs, or between many that are drawn, sorted."""
    n = len(series)
    if n * (n - 1) // 2 <= MOST_PAIRS:
        first, second = np.triu_indices(n, 1)
    else:
        first, second = np.random.default_rng(0).integers(0, n, (2, MOST_PAIRS))
        first, second = first[first != second], second[first != second]
    return np.sort((series[second] - series[first]) / (second - first))


def _damped(z: Series, limit: float) -> Series:
    """Distances as they are up to the limit, and growing by their logarithm beyond it."""
    beyond = np.maximum(np.abs(z) / limit, 1.0)
    return np.clip(z, -limit, limit) * (1 + np.log(beyond))


def _criterion(unexplained: Series, parameters: int, worth: float) -> float:
    """Bayesian information criterion of a fit, of values worth so many independent ones."""
    # Without a floor a perfect fit would be infinitely better than a nearly perfect one.
    mean_square = max(float(np.mean(unexplained**2)), 1e-9)
    return worth * float(np.log(mean_square)) + parameters * float(np.log(worth))


def _centre_and_spread(series: Series) -> tuple[float, float]:
    """Median and robust standard deviation, which is 0 for values that are all the same."""
    centre = float(np.median(series))
    distance = np.abs(series - centre)
    # Where more than half the values are equal, the mean distance still sees the others.
    spread = MAD_TO_SIGMA * np.median(distance) or MEAN_AD_TO_SIGMA * distance.mean()
    return centre, float(spread)
