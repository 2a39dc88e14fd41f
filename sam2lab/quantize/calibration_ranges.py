"""Choose the range that 8 bits are spread over from the values that a tensor takes.

A `Spread` keeps a tensor's two extremes and a histogram: a few kilobytes, however many images there
are. A range is a compromise. If it is too wide, all values are rounded coarsely; if it is too
narrow, the largest are cut off. Four methods draw the line in different places.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Range = tuple[float, float]

BINS = 8192
LEVELS = 256
# One value in ten thousand lies outside, half of them on each side.
PERCENTILE = 99.99
# The shares of an extreme that the search tries as the end of a range.
_SHARES = np.linspace(1.0, 0.1, 46)


class Spread:
    """The values of one tensor: the extremes `low` and `high`, and a histogram.

    The histogram reaches from -reach to +reach. A value that would fall outside makes it reach
    twice as far, with bins twice as wide.

    >>> spread = Spread()
    >>> for values in ([0.5, -1.0], [3.0]):
    ...     spread.add(np.array(values))
    >>> spread.low, spread.high, int(spread.counts.sum())
    (-1.0, 3.0, 3)
    """

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf
        self.reach = 0.0
        self.counts = np.zeros(BINS)

    def add(self, values: npt.NDArray[np.floating], extremes: Range | None = None) -> None:
        """Count values; if they are only a sample of the tensor, `extremes` are the tensor's."""
        low, high = extremes or (float(values.min()), float(values.max()))
        if not np.isfinite([low, high]).all():
            raise ValueError(
                f"a tensor reaches from {low} to {high}: the float model overflows; check its "
                "weights, and leave out images that make it overflow"
            )
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._widen(max(-low, high))
        if self.reach:
            counted, _ = np.histogram(values, BINS, (-self.reach, self.reach))
            self.counts += counted

    @property
    def centres(self) -> Float64:
        """The middle of each bin."""
        return np.linspace(-self.reach, self.reach, 2 * BINS + 1)[1::2]

    def range(self, method: str, symmetric: bool = False) -> Range:
        """The range (low, high) to spread 8 bits over, which always includes 0.

        With `symmetric` it is from -high to high.
        """
        if self.reach == 0:
            return 0.0, 0.0
        low, high = METHODS[method](self, symmetric)
        if symmetric:
            high = max(-low, high)
            low = -high
        return min(low, 0.0), max(high, 0.0)

    def _widen(self, magnitude: float) -> None:
        if self.reach == 0 and magnitude > 0:
            self.reach = magnitude
        while self.reach < magnitude:
            pairs = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.pad(pairs, BINS // 4)
            self.reach *= 2


def _min_max(spread: Spread, symmetric: bool) -> Range:
    return spread.low, spread.high


def _percentile(spread: Spread, symmetric: bool) -> Range:
    share = (1 - PERCENTILE / 100) / 2
    below = np.cumsum(spread.counts) / spread.counts.sum()
    places = np.searchsorted(below, [share, 1 - share])
    low, high = spread.centres[np.minimum(places, BINS - 1)].tolist()
    return max(low, spread.low), min(high, spread.high)


def _mse(spread: Spread, symmetric: bool) -> Range:
    """The range with the least mean squared error of rounding and cutting off."""
    counts, centres = _occupied(spread)

    def cost(low: float, high: float) -> float:
        rounded = rounding(centres, low, high)
        return float(counts @ (rounded - centres) ** 2)

    return _search(spread, symmetric, cost)


def _entropy(spread: Spread, symmetric: bool) -> Range:
    """The range whose 256 levels are distributed most like the values (Kullback-Leibler)."""
    counts, centres = _occupied(spread)
    whole = counts / counts.sum()

    def cost(low: float, high: float) -> float:
        # Values that are cut off count at the ends; a level stands for all its occupied bins.
        step = (high - low) / (LEVELS - 1)
        place = np.clip(np.rint((centres - low) / step), 0, LEVELS - 1).astype(np.intp)
        inside = (centres >= low) & (centres <= high)
        if not inside.any():
            return np.inf
        cut = np.where(inside, whole, 0.0)
        clipped = cut.copy()
        clipped[np.argmax(inside)] += whole[centres < low].sum()
        clipped[len(inside) - 1 - np.argmax(inside[::-1])] += whole[centres > high].sum()
        held = np.bincount(place, cut, LEVELS)
        bins = np.bincount(place, inside, LEVELS)
        coarse = np.where(inside, (held / np.maximum(bins, 1))[place], 0.0)
        coarse /= coarse.sum()
        return float((clipped[inside] * np.log(clipped[inside] / coarse[inside])).sum())

    return _search(spread, symmetric, cost)


METHODS: dict[str, Callable[[Spread, bool], Range]] = {
    "min-max": _min_max,
    "percentile": _percentile,
    "mse": _mse,
    "entropy": _entropy,
}


def rounding(values: Float64, low: float, high: float) -> Float64:
    """Values rounded to 8 bits that are spread from `low` to `high`; 0 stays exactly 0.

    >>> rounding(np.array([-1.0, 0.0, 0.4, 300.0]), 0, 255).tolist()
    [0.0, 0.0, 0.0, 255.0]
    """
    step = (high - low) / (LEVELS - 1)
    zero = np.rint(-low / step)
    return (np.clip(np.rint(values / step) + zero, 0, LEVELS - 1) - zero) * step


def _occupied(spread: Spread) -> tuple[Float64, Float64]:
    occupied = spread.counts > 0
    return spread.counts[occupied], spread.centres[occupied]


def _search(spread: Spread, symmetric: bool, cost: Callable[[float, float], float]) -> Range:
    """Search the best upper end for the full lower one, then the best lower end for that upper one.

    Symmetric ranges have one end to search.
    """
    low, high = min(spread.low, 0.0), max(spread.high, 0.0)
    if symmetric:
        peak = max(-low, high)
        best = min(_SHARES, key=lambda share: cost(-share * peak, share * peak))
        return -float(best) * peak, float(best) * peak
    if high > 0:
        high *= float(min(_SHARES, key=lambda share: cost(low, share * high)))
    if low < 0:
        low *= float(min(_SHARES, key=lambda share: cost(share * low, high)))
    return low, high
