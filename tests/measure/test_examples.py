"""Examples are chosen by rank, and asked for again they are the answers of the table."""

from __future__ import annotations

import pandas as pd
import pytest

from sam2lab.measure import answer_again, best_median_worst, evaluate
from sam2lab.measure.interactive import KINDS
from tests.measure.known import Hooked, KnownEngine, scene, scenes


def answers(*ious: float) -> pd.DataFrame:
    columns = {"engine": "a", "kind": "box", "clicks": 0, "object": 0}
    return pd.DataFrame({"iou": ious, "image": range(len(ious))}).assign(**columns)


@pytest.mark.parametrize(
    ("ious", "images"),
    [
        ((0.5, 0.9, 0.1, 0.3, 0.7), [1, 0, 2]),
        ((0.4, 0.4, 0.4), [0, 1, 0]),
        ((0.0, 0.8, 0.0, 0.8), [1, 3, 0]),
        ((0.5,), [0, 0, 0]),
    ],
)
def test_best_median_and_worst_are_found_by_rank(ious: tuple[float], images: list[int]) -> None:
    rows = best_median_worst(answers(*ious), "a", "box", 0)
    assert rows["rank"].tolist() == ["best", "median", "worst"]
    assert rows["image"].tolist() == images


def test_answers_to_other_prompts_do_not_count() -> None:
    table = pd.concat([answers(0.5), answers(0.9).assign(kind="jittered box")])
    assert best_median_worst(table, "a", "box", 0)["iou"].tolist() == [0.5] * 3
    with pytest.raises(ValueError, match="no answers of 'b' to 'box' with 0 clicks"):
        best_median_worst(table, "b", "box", 0)


@pytest.mark.parametrize("kind", KINDS)
def test_asked_again_they_have_the_same_iou_and_the_truth_beside(kind: str) -> None:
    engines = {"known": KnownEngine(), "worse": KnownEngine(worse=0.1)}
    table = evaluate(engines, scenes(4), clicks=3, seed=5).table
    clicks = {"clicks": 3, "random click": 1}.get(kind, 0)
    rows = best_median_worst(table, "known", kind, clicks)
    cases = answer_again(engines, scenes(4), rows)
    assert len(cases) == 3
    for case, row in zip(cases, rows.itertuples(), strict=True):
        assert case.title.startswith(row.rank)
        assert (case.truth == scene(row.image).masks[row.object]).all()
        assert case.ious["known"] == row.iou
        assert case.ious["worse"] == pytest.approx(row.iou - 0.1)
        assert len(case.answers["known"].points) == clicks


def test_photos_that_are_not_shown_are_not_read_on() -> None:
    table = evaluate({"a": KnownEngine()}, scenes(2), ("box",)).table
    rows = best_median_worst(table, "a", "box", 0)

    def never() -> None:
        raise AssertionError("it was read")

    assert len(answer_again({"a": KnownEngine()}, Hooked(9, 5, never), rows)) == 3


def test_another_ground_truth_is_refused() -> None:
    table = evaluate({"a": KnownEngine()}, scenes(3), ("box",)).table
    rows = best_median_worst(table, "a", "box", 0).assign(image=2)
    with pytest.raises(ValueError, match=r"images \[2\], which ground_truth has not"):
        answer_again({"a": KnownEngine()}, scenes(2), rows)
