"""Figures of accuracy show each engine and prompt, at the height that the table has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from sam2lab import plots

RNG = np.random.default_rng(0)
PROMPTS = [("clicks", n) for n in range(1, 6)] + [("box", 0)]
TABLE = pd.DataFrame(
    {
        "engine": engine,
        "image": image,
        "kind": kind,
        "clicks": clicks,
        "iou": level + 0.02 * clicks + RNG.uniform(-0.1, 0.1),
    }
    for engine, level in {"torch": 0.6, "w8a8": 0.5}.items()
    for kind, clicks in PROMPTS
    for image in range(20)
)
SUMMARY = pd.DataFrame(
    {
        "engine": engine,
        "kind": kind,
        "clicks": clicks,
        "mean": level + 0.02 * clicks,
        "low": level + 0.02 * clicks - 0.05,
        "high": level + 0.02 * clicks + 0.03,
    }
    for engine, level in {"torch": 0.6, "w8a8": 0.5}.items()
    for kind, clicks in PROMPTS
)
BY_SIZE = pd.concat([SUMMARY.assign(size=size) for size in ("large", "small")])


@dataclass
class Shown:
    best: np.ndarray
    points: np.ndarray
    labels: np.ndarray
    box: np.ndarray | None = None


@dataclass
class Case:
    title: str
    photo: np.ndarray
    truth: np.ndarray
    answers: dict[str, Any]
    ious: dict[str, float]


def case(title: str, height: int = 40, mask: bool = True) -> Case:
    truth = np.zeros((height, 60), bool)
    truth[5:20, 10:30] = mask
    clicked = Shown(truth, np.array([[12.0, 7], [40, 30]]), np.array([1.0, 0]))
    boxed = Shown(truth, np.empty((0, 2)), np.empty(0), np.array([10.0, 5, 30, 20]))
    photo = np.full((height, 60, 3), 128, np.uint8)
    return Case(title, photo, truth, {"a": clicked, "b": boxed}, {"a": 0.75, "b": 1.0})


@pytest.mark.parametrize(
    ("draw", "table"),
    [
        (plots.jaccard_boxes, TABLE),
        (plots.iou_by_clicks, SUMMARY),
        (plots.iou_by_size, BY_SIZE),
    ],
)
def test_every_figure_says_what_its_axes_are_and_names_the_engines(draw, table) -> None:
    figure = draw(table)
    assert figure.axes[0].get_ylabel()
    for axes in figure.axes:
        assert axes.get_title()
        assert axes.get_xlabel()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["torch", "w8a8"]


def test_there_is_a_box_for_each_engine_and_prompt_with_its_median_and_mean() -> None:
    (axes,) = plots.jaccard_boxes(TABLE).axes
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["1 click\n(20 objects)", "3 clicks\n(20 objects)", "box\n(20 objects)"]
    assert len(axes.patches) == 6
    shown = TABLE[(TABLE["kind"] == "box") | TABLE["clicks"].isin([1, 3])]
    groups = shown.groupby(["engine", "kind", "clicks"])["iou"]
    lines = [np.unique(line.get_ydata()) for line in axes.lines]
    levels = {round(float(y[0]), 9) for y in lines if len(y) == 1}
    for statistic in (groups.median(), groups.mean()):
        assert {round(value, 9) for value in statistic} <= levels


def test_the_curve_of_clicks_has_the_means_and_their_intervals() -> None:
    (axes,) = plots.iou_by_clicks(SUMMARY).axes
    curves = [line for line in axes.lines if len(line.get_xdata()) == 5]
    assert [curve.get_ydata()[0] for curve in curves] == pytest.approx([0.62, 0.52])
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.57, 0.73))


def test_there_is_a_panel_for_each_prompt_with_sizes_in_their_order() -> None:
    panels = plots.iou_by_size(BY_SIZE).axes
    assert [axes.get_title() for axes in panels] == ["1 click", "3 clicks", "box"]
    assert [text.get_text() for text in panels[0].get_xticklabels()] == ["small", "large"]


def test_a_case_is_a_row_of_masks_and_the_truth_last() -> None:
    panels = plots.beside_truth([case("best"), case("worst", 90)]).axes
    titles = [axes.get_title() for axes in panels]
    assert titles == ["a: IoU 0.75", "b: IoU 1.00", "truth"] * 2
    assert [panels[0].get_ylabel(), panels[3].get_ylabel()] == ["best", "worst"]


def test_prompts_are_drawn_where_they_were_given() -> None:
    clicked, boxed, truth = plots.beside_truth([case("best")]).axes
    dots = [list(each.get_offsets()) for each in clicked.collections if len(each.get_offsets())]
    assert [[12, 7]] in [np.array(d).tolist() for d in dots]
    assert [[40, 30]] in [np.array(d).tolist() for d in dots]
    (box,) = [patch for patch in boxed.patches if isinstance(patch, Rectangle)]
    # Boxes are given by pixels' edges, pictures are drawn with pixels' middles on whole numbers.
    assert box.get_bbox().extents.tolist() == [9.5, 4.5, 29.5, 19.5]
    assert not truth.patches


def test_an_empty_mask_can_be_shown() -> None:
    assert plots.beside_truth([case("worst", mask=False)])._repr_png_()
