"""Statistics on series whose truth is known: constant, drifting, warming up, wild."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from sam2lab.measure import statistics
from sam2lab.measure.statistics import drift_percent, median_interval, outliers, warm_up_end


def noise(n: int, seed: int = 0) -> np.ndarray:
    """A steady level of 100 with a standard deviation of 1."""
    return 100 + np.random.default_rng(seed).normal(0, 1, n)


def heavy(n: int, seed: int = 0) -> np.ndarray:
    """A steady level with a tail so heavy that it has no variance (Student, 2 degrees)."""
    return 100 + np.abs(np.random.default_rng(seed).standard_t(2, n))


def spiky(n: int, seed: int = 0) -> np.ndarray:
    """A quiet level of 5, but one run in eight takes nearly twice as long: a busy machine."""
    rng = np.random.default_rng(seed)
    return 5 + rng.normal(0, 0.08, n) + (rng.uniform(size=n) < 0.12) * rng.uniform(2, 5, n)


def busy(n: int, seed: int = 0) -> np.ndarray:
    """A level of 100, but one run in three waits for others, up to twice as long as it takes."""
    rng = np.random.default_rng(seed)
    return 100 + rng.normal(0, 2, n) + (rng.uniform(size=n) < 0.35) * rng.uniform(20, 200, n)


def resembling(n: int, seed: int = 0) -> np.ndarray:
    """Steady, with median 100, but each value resembles the one before it (AR 1, 0.5)."""
    shocks = np.random.default_rng(seed).normal(0, 1, n + 50)
    values = np.zeros(n + 50)
    for i in range(1, n + 50):
        values[i] = 0.5 * values[i - 1] + shocks[i]
    return 100 + values[50:]


def best_of_all(series: np.ndarray) -> int:
    """After how many runs a step down comes that leaves the least, by fitting each on its own."""
    runs = np.arange(len(series))
    left = {}
    for k in range(1, len(series) // 2 + 1):
        columns = np.stack([np.ones(len(series)), runs, runs < k], axis=1)
        fit, squares, *_ = np.linalg.lstsq(columns, series, rcond=None)
        if fit[2] > 0:
            left[k] = squares[0]
    return min(left, key=left.__getitem__)


class TestWarmUpEnd:
    @pytest.mark.parametrize("length", [1, 3, 20])
    @pytest.mark.parametrize("n", [50, 200])
    def test_is_found_where_the_level_steps_down(self, n: int, length: int) -> None:
        found = [warm_up_end(noise(n, seed) + 8 * (np.arange(n) < length)) for seed in range(40)]
        # Noise of one standard deviation beside a step of eight moves it hardly ever.
        assert np.mean(np.array(found) == length) >= 0.9

    def test_of_several_steps_is_the_end_of_the_last(self) -> None:
        steps = np.repeat([2000, 300, 130, 100], [1, 4, 10, 85]) - 100
        assert warm_up_end(noise(100) + steps) == 15

    def test_is_not_hidden_by_one_wild_run(self) -> None:
        series = noise(100) + 10 * (np.arange(100) < 10)
        series[70] = 1000
        assert warm_up_end(series) == 10

    @pytest.mark.parametrize("n", [30, 200])
    def test_is_not_hidden_by_many_small_spikes(self, n: int) -> None:
        found = [warm_up_end(spiky(n, seed) + 100 * (np.arange(n) < 3)) for seed in range(60)]
        # A spike that happens to come fourth belongs to the warm-up as far as anyone can tell.
        assert np.min(found) >= 3
        assert np.mean(np.array(found) == 3) >= 0.85

    @pytest.mark.parametrize("n", [30, 200])
    @pytest.mark.parametrize("ratio", [1, 10])
    def test_is_not_hidden_by_a_busy_machine(self, n: int, ratio: int) -> None:
        slow = 1 + (ratio - 1) * (np.arange(n) < 1)
        found = [warm_up_end(busy(n, seed) * slow) for seed in range(60)]
        # Ten times as long is more than three times as far out as any wait; nothing is 0.
        assert np.mean(np.array(found) == (ratio > 1)) >= 0.9

    @pytest.mark.parametrize("make", [noise, heavy, spiky])
    @pytest.mark.parametrize("n", [8, 9, 40])
    def test_is_that_of_the_best_fit_of_all(self, n: int, make: Callable) -> None:
        lengths = np.random.default_rng(0).integers(1, n // 2 + 1, 20)
        made = [make(n, k) + 20 * (np.arange(n) < k) for k in lengths]
        found = [statistics._best_step(series) for series in made]
        assert all(k in (0, best_of_all(series)) for k, series in zip(found, made, strict=True))
        assert np.count_nonzero(found) >= 10

    def test_does_not_depend_on_the_unit(self) -> None:
        series = noise(60) + 20 * (np.arange(60) < 5)
        assert warm_up_end(series) == warm_up_end(series / 1000) == 5

    @pytest.mark.parametrize(
        "make",
        [
            noise,
            heavy,
            spiky,
            busy,
            resembling,
            lambda n, seed: noise(n, seed) + np.linspace(0, 20, n),
            lambda n, seed: noise(n, seed) - np.linspace(0, 20, n),
            lambda n, seed: noise(n, seed) + 50 * (np.arange(n) == n // 3),
            lambda n, seed: noise(n, seed) + 10 * (np.arange(n) > n // 3),
            lambda n, seed: noise(n, seed) + 10 * (np.arange(n) < 0.8 * n),
        ],
        ids=[
            "noise",
            "heavy tail",
            "spikes",
            "busy machine",
            "resembling neighbours",
            "slower",
            "faster",
            "one outlier",
            "step up",
            "late step",
        ],
    )
    def test_is_not_seen_where_there_is_none(self, make: Callable) -> None:
        found = [warm_up_end(make(100, seed)) for seed in range(60)]
        # A criterion errs now and then: in the simulations 1 to 4 times in a hundred.
        assert np.mean(np.array(found) == 0) >= 0.9

    def test_of_drift_after_a_slow_first_run_is_that_run(self) -> None:
        series = noise(100) + np.linspace(0, 20, 100)
        series[0] = 400
        assert warm_up_end(series) == 1

    def test_of_a_constant_is_nothing(self) -> None:
        assert warm_up_end(np.full(50, 7.0)) == 0

    def test_of_a_constant_after_a_slow_run_is_that_run(self) -> None:
        assert warm_up_end([9.0] + 30 * [7.0]) == 1

    def test_of_too_few_runs_is_not_guessed(self) -> None:
        assert warm_up_end([900.0, 1, 1, 1, 1, 1, 1]) == 0


class TestMedianInterval:
    @pytest.mark.parametrize(
        ("make", "n", "median", "least"),
        [
            (noise, 12, 100, 0.90),
            (noise, 60, 100, 0.90),
            # The median of |t|, 2 degrees of freedom, is 0.8165.
            (heavy, 60, 100.8165, 0.90),
            # Blocks of 4 hold only part of the resemblance: the docstring's price.
            (resembling, 60, 100, 0.84),
        ],
        ids=["few", "noise", "heavy tail", "resembling neighbours"],
    )
    def test_holds_the_truth_about_19_times_in_20(
        self, make: Callable, n: int, median: float, least: float
    ) -> None:
        intervals = [median_interval(make(n, seed), resamples=300) for seed in range(300)]
        covered = np.mean([low <= median <= high for _, low, high in intervals])
        assert covered >= least
        # Nor is it so wide as to say nothing: half-width of a few standard errors.
        width = np.median([high - low for _, low, high in intervals])
        assert width < 8 / np.sqrt(n)

    def test_is_the_same_each_time(self) -> None:
        assert median_interval(noise(30)) == median_interval(noise(30))

    def test_of_a_constant_is_a_point(self) -> None:
        assert median_interval(np.full(20, 5.0)) == (5, 5, 5)

    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_of_too_few_runs_is_not_given(self, n: int) -> None:
        value, low, high = median_interval(np.arange(n))
        assert value == (n - 1) / 2
        assert np.isnan([low, high]).all()


class TestDrift:
    def test_is_the_slope_over_the_whole_series(self) -> None:
        value, low, high = drift_percent(noise(200) + np.linspace(0, 10, 200))
        # Ten more on a median of 105.
        assert low < 100 * 10 / 105 < high
        assert value == pytest.approx(100 * 10 / 105, abs=1)

    def test_is_not_shown_by_noise(self) -> None:
        shown = [
            low > 0 or high < 0
            for _, low, high in (drift_percent(noise(50, s)) for s in range(200))
        ]
        # 5 % expected; 200 series leave a standard error of 1.5 %.
        assert np.mean(shown) < 0.1

    def test_does_not_mind_an_outlier(self) -> None:
        series = noise(100)
        series[99] = 1e6
        assert abs(drift_percent(series).value) < 1

    @pytest.mark.parametrize("digits", [9, 0], ids=["all different", "many the same"])
    @pytest.mark.parametrize("n", [3, 10, 200])
    def test_is_that_of_theil_and_sen(self, n: int, digits: int) -> None:
        series = np.round(heavy(n) + np.linspace(0, 3, n), digits)
        found = stats.theilslopes(series)
        wanted = np.array([found.slope, found.low_slope, found.high_slope]) * (n - 1)
        np.testing.assert_allclose(drift_percent(series), 100 * wanted / np.median(series))

    @pytest.mark.parametrize("make", [noise, heavy])
    def test_of_many_runs_is_nearly_that_of_all_pairs(self, make: Callable, monkeypatch) -> None:
        made = [make(1501, seed) + np.linspace(0, 3, 1501) for seed in range(10)]
        of_stretches = np.array([drift_percent(series) for series in made])
        monkeypatch.setattr(statistics, "MOST_PAIRED", 2000)
        of_all = np.array([drift_percent(series) for series in made])
        width = (of_all[:, 2] - of_all[:, 1]).mean()
        # Each median of two runs errs on its own, and not to one side.
        assert np.abs(of_stretches[:, 0] - of_all[:, 0]).max() < 0.5 * width
        assert np.abs((of_stretches[:, 0] - of_all[:, 0]).mean()) < 0.15 * width
        # A median of two runs says nearly as much as both of them.
        assert 0.9 < (of_stretches[:, 2] - of_stretches[:, 1]).mean() / width < 1.6

    def test_of_a_constant_is_none(self) -> None:
        assert drift_percent(np.full(20, 3.0)) == (0, 0, 0)

    def test_of_two_runs_is_not_given(self) -> None:
        assert np.isnan(drift_percent([1.0, 2.0])).all()


class TestOutliers:
    def test_one_is_found_at_its_place(self) -> None:
        series = noise(100)
        series[[17, 60]] = 130, 40
        assert np.flatnonzero(outliers(series)).tolist() == [17, 60]

    def test_noise_has_hardly_any(self) -> None:
        assert outliers(noise(1000)).sum() <= 3

    def test_a_constant_has_none(self) -> None:
        assert not outliers(np.full(9, 4.0)).any()

    def test_among_equal_values_the_other_one_is_seen(self) -> None:
        assert np.flatnonzero(outliers([5.0] * 20 + [6.0])).tolist() == [20]


@pytest.mark.parametrize("function", [warm_up_end, median_interval, drift_percent, outliers])
def test_a_hundred_thousand_runs_do_not_fill_the_memory(function: Callable) -> None:
    series = noise(100_000)
    tracemalloc.start()
    try:
        # What is drawn at a time does not depend on how often; the rest is time.
        function(series, resamples=100) if function is median_interval else function(series)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # All pairs would take 80 GB, all draws at a time 160 MB.
    assert most < 100e6


@pytest.mark.parametrize("function", [warm_up_end, median_interval, drift_percent, outliers])
@pytest.mark.parametrize(
    ("values", "reason"),
    [([], "at least one time"), ([[1.0]], "at least one time"), ([1.0, np.nan], "1 of 2")],
    ids=["none", "a table", "a missing one"],
)
def test_what_is_no_series_is_refused(function: Callable, values, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        function(values)
