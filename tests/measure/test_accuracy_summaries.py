"""Means, intervals, differences and clicks of tables whose figures are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sam2lab.measure import (
    accuracy_differences,
    clicks_needed,
    evaluate,
    headline_accuracy,
    number_of_clicks,
    summarise_accuracy,
)
from sam2lab.measure.accuracy_summaries import CORRELATION, correlation_interval, mean_interval
from tests.measure.known import AFTER_CLICKS, BOX, CANDIDATES, KnownEngine, scenes

KNOWN = evaluate({"known": KnownEngine(), "worse": KnownEngine(worse=0.1)}, scenes(6), clicks=5)


def clicked(*ious: list[float], engine: str = "a") -> pd.DataFrame:
    """A table of clicks: a list for each object, each on a photo of its own."""
    return pd.DataFrame(
        {
            "engine": engine,
            "image": image,
            "object": 7,
            "kind": "clicks",
            "clicks": clicks,
            "iou": iou,
            "area_px": 2000,
            "size": "medium",
        }
        for image, values in enumerate(ious)
        for clicks, iou in enumerate(values, start=1)
    )


def photos_with_objects(rng: np.random.Generator, photos: int) -> tuple[Any, Any]:
    """Values whose true mean is 0.6, and those of one photo resemble each other."""
    counts = rng.integers(1, 12, photos)
    names = np.repeat(np.arange(photos), counts)
    values = 0.6 + rng.normal(0, 0.2, photos)[names] + rng.normal(0, 0.1, len(names))
    return values, names


@pytest.mark.parametrize("photos", [12, 60])
def test_an_interval_holds_the_truth_as_often_as_it_says(photos: int) -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        interval = mean_interval(*photos_with_objects(rng, photos), resamples=400)
        held += interval.low <= 0.6 <= interval.high
    # 95 % of 400 has a standard deviation of 1.1 %; these are three of them. Objects drawn one
    # by one, as if they did not resemble each other, would hold it in 57 % of cases.
    assert 0.917 <= held / 400 <= 0.983


def test_objects_of_one_photo_each_make_it_the_ordinary_interval() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0.5, 0.1, 400)
    found = mean_interval(values, np.arange(400), resamples=4000)
    low, high = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    assert found.value == values.mean()
    # The ends of 4000 resamples are uncertain by a few percent of the interval's width.
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.08 * (high - low))


def test_too_few_photos_say_nothing_of_the_doubt() -> None:
    assert np.isnan(mean_interval([0.1, 0.2, 0.3], [1, 2, 3])[1:]).all()
    assert np.isnan(mean_interval([], [])).all()


def test_the_mean_does_not_depend_on_the_seed_and_the_interval_hardly() -> None:
    values, names = photos_with_objects(np.random.default_rng(0), 80)
    a, b = (mean_interval(values, names, seed=seed) for seed in (0, 1))
    assert a.value == b.value
    assert a != b
    assert a == pytest.approx(b, abs=0.01)


def test_a_summary_says_what_the_masks_were_made_to_have() -> None:
    rows = summarise_accuracy(KNOWN.table).set_index(["engine", "kind", "clicks"])
    for column in ("mean", "low", "high", "median"):
        assert rows.loc[("known", "box", 0), column] == pytest.approx(BOX)
        assert rows.loc[("known", "clicks", 1), column] == pytest.approx(CANDIDATES[1])
        assert rows.loc[("worse", "clicks", 3), column] == pytest.approx(AFTER_CLICKS[3] - 0.1)
    assert set(rows["objects"]) == {12}
    assert set(rows["photos"]) == {6}


def test_a_summary_keeps_sizes_apart() -> None:
    table = pd.concat([clicked([0.2], [0.4]), clicked([0.9]).assign(size="large", image=9)])
    rows = summarise_accuracy(table, by=["size"]).set_index("size")
    assert rows["mean"].to_dict() == pytest.approx({"medium": 0.3, "large": 0.9})


def test_what_was_not_answered_is_not_counted() -> None:
    rows = summarise_accuracy(KNOWN.table, column="best_of_three").set_index(
        ["engine", "kind", "clicks"]
    )
    assert rows.loc[("known", "box", 0), "objects"] == 0
    assert np.isnan(rows.loc[("known", "box", 0), "mean"])
    assert rows.loc[("known", "random click", 1), "mean"] == CANDIDATES[2]


def test_each_object_is_compared_with_itself() -> None:
    rows = accuracy_differences(KNOWN.table)
    assert set(rows["engine"]) == {"worse"}
    assert set(rows["baseline"]) == {"known"}
    # Two tenths of a width may round to whole columns either way.
    for column in ("difference", "low", "high"):
        np.testing.assert_allclose(rows[column], -0.1, atol=1e-12)
    assert set(rows["worse_share"]) == {1.0}


def test_a_difference_shows_that_is_small_beside_the_spread_of_objects() -> None:
    rng = np.random.default_rng(0)
    ious = rng.uniform(0.1, 0.9, 200)
    table = pd.concat(
        [
            clicked(*ious[:, None].tolist()),
            clicked(*(ious - 0.01 + rng.normal(0, 0.02, 200))[:, None].tolist(), engine="b"),
        ]
    )
    (row,) = accuracy_differences(table).itertuples()
    assert -0.015 < row.low < row.difference < row.high < -0.005
    means = summarise_accuracy(table).set_index("engine")
    assert means.loc["b", "high"] > means.loc["a", "low"]


def test_objects_that_only_one_engine_answered_are_left_out() -> None:
    table = pd.concat([clicked([0.5], [0.6], [0.7]), clicked([0.5], [0.5], engine="b")])
    (row,) = accuracy_differences(table, baseline="b").itertuples()
    assert (row.engine, row.objects) == ("a", 2)
    assert row.difference == pytest.approx(0.05)


def test_an_unknown_baseline_is_refused() -> None:
    with pytest.raises(ValueError, match="baseline is 'x'; wanted one of known, worse"):
        accuracy_differences(KNOWN.table, "x")


def test_clicks_are_counted_until_the_target_is_first_reached() -> None:
    table = clicked([0.9, 0.9, 0.9], [0.5, 0.85, 0.2], [0.1, 0.2, 0.86], [0.1, 0.2, 0.3])
    found = clicks_needed(table, 0.85)
    assert found["clicks"].tolist() == [1, 2, 3, 3]
    assert found["reached"].tolist() == [True, True, True, False]
    assert clicks_needed(table, 0.90)["clicks"].tolist() == [1, 3, 3, 3]


def test_the_number_of_clicks_is_a_mean_with_failures_beside() -> None:
    rows = number_of_clicks(KNOWN.table).set_index(["engine", "target"])
    # 0.85 is reached by the fourth click, 0.90 by the fifth; a tenth less at the fifth, or never.
    assert rows.loc[("known", 0.85), ["clicks", "failed"]].tolist() == [4, 0]
    assert rows.loc[("known", 0.90), ["clicks", "failed"]].tolist() == [5, 0]
    assert rows.loc[("worse", 0.85), ["clicks", "failed"]].tolist() == [5, 0]
    assert rows.loc[("worse", 0.90), ["clicks", "failed"]].tolist() == [5, 1]


def test_clicks_cannot_be_counted_in_a_table_without() -> None:
    with pytest.raises(ValueError, match='no rows of kind "clicks"'):
        clicks_needed(KNOWN.table[KNOWN.table["kind"] == "box"], 0.85)


def test_quality_is_five_means_and_a_correlation_for_each_engine() -> None:
    rows = headline_accuracy(KNOWN.table)
    known = rows[rows["engine"] == "known"].set_index("question")["value"]
    expected = [CANDIDATES[1], CANDIDATES[2], BOX, AFTER_CLICKS[3]]
    assert known.tolist()[:4] == pytest.approx(expected)
    boxes = KNOWN.table.query("engine == 'known' and kind == 'box'")
    assert known["boundary F, box"] == pytest.approx(boxes["boundary_f"].mean())
    # The engine gives every object the same score, which tells nothing.
    assert np.isnan(known[CORRELATION])
    assert rows["objects"].tolist() == [12] * 12


def test_a_correlation_is_pearsons_and_its_interval_covers_it() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(0.5, 0.1, 300)
    b = a + rng.normal(0, 0.1, 300)
    found = correlation_interval(a, b, np.arange(300))
    assert found.value == pytest.approx(np.corrcoef(a, b)[0, 1])
    # Fisher's interval, for values that are as normal as these: ends differ by chance of draws.
    ends = np.tanh(np.arctanh(found.value) + np.array([-1, 1]) * 1.96 / np.sqrt(297))
    assert found[1:] == pytest.approx(ends, abs=0.02)


def test_quality_leaves_small_objects_out() -> None:
    areas = KNOWN.table["area_px"]
    cut = int(areas.median())
    rows = headline_accuracy(KNOWN.table, above_px=cut)
    larger = KNOWN.table.loc[areas > cut].groupby(["image", "object"]).ngroups
    assert 0 < larger < 12
    assert set(rows["objects"]) == {larger}
