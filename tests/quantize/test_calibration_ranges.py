"""Ranges against brute force over the values themselves."""

from __future__ import annotations

import numpy as np
import pytest

from sam2lab.quantize.calibration_ranges import BINS, PERCENTILE, Spread, rounding

RNG = np.random.default_rng(0)
SHAPES = {
    "bell": RNG.normal(0.3, 1, 50_000),
    "gelu": np.maximum(RNG.normal(0, 1, 50_000), -0.17),
    "heavy tails": RNG.standard_t(3, 50_000),
    "shares": RNG.beta(0.2, 8, 50_000),
    "all below zero": -RNG.gamma(2, 1, 50_000),
}


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def values(request: pytest.FixtureRequest) -> np.ndarray:
    return request.param


def seen(values: np.ndarray, batches: int = 5) -> Spread:
    spread = Spread()
    for batch in np.array_split(values, batches):
        spread.add(batch)
    return spread


def error(values: np.ndarray, low: float, high: float) -> float:
    return float(((rounding(values, low, high) - values) ** 2).mean())


def test_min_max_is_the_extremes_with_zero(values: np.ndarray) -> None:
    assert seen(values).range("min-max") == (min(values.min(), 0), max(values.max(), 0))


def test_percentile_is_that_of_the_values(values: np.ndarray) -> None:
    spread = seen(values)
    tail = (100 - PERCENTILE) / 2
    wanted = np.percentile(values, [tail, 100 - tail])
    # The histogram knows a value by its bin, and numpy interpolates between the last few values.
    width = 2 * spread.reach / BINS
    gaps = [np.diff(np.sort(values)[:5]).max(), np.diff(np.sort(values)[-5:]).max()]
    for found, exact, gap in zip(spread.range("percentile"), wanted, gaps, strict=True):
        if found != 0:
            assert abs(found - exact) <= width + gap


def test_mse_is_as_good_as_the_best_of_all_ranges(values: np.ndarray) -> None:
    found = error(values, *seen(values).range("mse"))
    low, high = min(values.min(), 0), max(values.max(), 0)
    shares = np.linspace(0.05, 1, 40)
    best = min(
        error(values, a * low, b * high) for a in shares for b in shares if b * high > a * low
    )
    # One end is searched after the other, and values are known by their bins.
    assert found <= 1.05 * best


def test_percentile_and_entropy_cut_off_what_is_alone() -> None:
    """Not mse: 40 squared, once, is more than a coarser step for all."""
    spread = seen(np.append(RNG.normal(0, 1, 50_000), 100))
    assert spread.range("min-max")[1] == 100
    assert 2 < spread.range("percentile")[1] < 10
    assert 2 < spread.range("entropy")[1] < 60


@pytest.mark.parametrize("method", ["min-max", "percentile", "mse", "entropy"])
def test_a_symmetric_range_reaches_equally_far(values: np.ndarray, method: str) -> None:
    low, high = seen(values).range(method, symmetric=True)
    assert -low == high > 0


def test_the_order_in_which_values_come_makes_hardly_a_difference(values: np.ndarray) -> None:
    """Bins are as wide as the first batch made them, times a power of two."""
    forwards, backwards = seen(np.sort(values), 20), seen(np.sort(values)[::-1], 20)
    assert (forwards.low, forwards.high) == (backwards.low, backwards.high)
    for spread in (forwards, backwards):
        assert spread.counts.sum() == len(values)
        # The mean over bins is off by half a bin at most.
        mean = (spread.counts @ spread.centres) / spread.counts.sum()
        assert abs(mean - values.mean()) <= spread.reach / BINS


def test_zero_stays_zero_and_errors_within_the_range_are_half_a_step(values: np.ndarray) -> None:
    low, high = min(values.min(), 0), max(values.max(), 0)
    assert rounding(np.zeros(1), low, high) == 0
    step = (high - low) / 255
    # The range slides by up to half a step so that 0 is one of the levels.
    assert np.abs(rounding(values, low, high) - values).max() <= 1.001 * step


def test_a_tensor_of_zeros_has_an_empty_range() -> None:
    spread = seen(np.zeros(10))
    assert [spread.range(method) for method in ("min-max", "mse", "entropy")] == [(0.0, 0.0)] * 3


def test_infinite_values_are_refused() -> None:
    with pytest.raises(ValueError, match="overflows"):
        Spread().add(np.array([1, np.inf]))
