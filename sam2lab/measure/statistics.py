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

# Fewer runs than this cannot tell a warm-up from chance.
FEWEST_RUNS = 8


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
    line alone and to a constant; there, runs that resemble their neighbours count for less. What
    remains is searched again, since warming up may take several steps (binary segmentation, as
    in change point analysis, from the left). 0 where nothing of the kind is found, and below 8
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
    drawn = (starts + np.arange(block)).reshape(resamples, -1)[:, :n] % n
    blocks = n / block
    outside = stats.norm.cdf(np.sqrt(blocks / (blocks - 1)) * stats.t.ppf(0.025, blocks - 1))
    low, high = np.quantile(np.median(series[drawn], axis=1), [outside, 1 - outside])
    return Interval(float(np.median(series)), float(low), float(high))


def drift_percent(values: npt.ArrayLike) -> Interval:
    """How much slower the last run is than the first, in percent of the median.

    The Theil-Sen line, the median of the slopes between all pairs of runs, with Sen's 95 %
    interval: where that holds 0, no drift was shown. Neighbouring runs that resemble each other
    make it too narrow.

    >>> round(drift_percent(100 + np.arange(50)).value, 1)
    39.4
    """
    series = checked(values)
    if len(series) < 3:
        return Interval(np.nan, np.nan, np.nan)
    found = stats.theilslopes(series)
    over_all = 100 * (len(series) - 1) / float(np.median(series))
    slopes = (found.slope, found.low_slope, found.high_slope)
    return Interval(*(float(slope) * over_all for slope in slopes))


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
    z = _damped((series - centre) / unit)

    runs = np.arange(n)
    line = np.linalg.qr(np.stack([np.ones(n), runs - runs.mean()], axis=1))[0]
    before = (runs < np.arange(1, n // 2 + 1)[:, None]).astype(np.float64)
    # What the line leaves unexplained of the series, and of each possible step.
    left = z - line @ (line.T @ z)
    step = before - (before @ line) @ line.T
    height = step @ left
    gains = np.where(height > 0, height**2 / (step**2).sum(axis=1), 0.0)
    best = int(np.argmax(gains))

    unexplained = left - (height[best] / (step[best] ** 2).sum()) * step[best]
    # Runs that resemble their neighbours say less than as many that do not: a machine whose
    # load swings must not look as if it had been warming up.
    resembling = float(unexplained[1:] @ unexplained[:-1] / max(unexplained @ unexplained, 1e-9))
    resembling = min(max(resembling, 0.0), 0.95)
    worth = max(n * (1 - resembling) / (1 + resembling), 2.0)
    flat = _criterion(z - z.mean(), 1, worth)
    straight = _criterion(left, 2, worth)
    stepped = _criterion(unexplained, 5, worth)
    return best + 1 if stepped < min(flat, straight) else 0


def _damped(z: Series) -> Series:
    """Distances as they are up to the limit, and growing by their logarithm beyond it."""
    beyond = np.maximum(np.abs(z) / LIMIT_SIGMAS, 1.0)
    return np.clip(z, -LIMIT_SIGMAS, LIMIT_SIGMAS) * (1 + np.log(beyond))


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
