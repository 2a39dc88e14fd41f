"""Figures of quantising show every part and recipe, in an order that can be read."""

from __future__ import annotations

import pandas as pd
import pytest

from sam2lab import plots

SWEPT = pd.DataFrame(
    {
        "part": ["encoder.blocks.10", "decoder.heads", "encoder.blocks.2", "encoder.patch_embed"],
        "iou": [0.90, 0.95, 0.99, 0.999],
        "iou_p5": [0.70, 0.90, 0.98, 0.99],
        "sqnr_db": [20.0, 30.0, 40.0, 50.0],
        "share": [0.6, 0.3, 0.08, 0.02],
    }
)
TABLE = pd.DataFrame(
    {
        "recipe": ["float", "usual", "min-max", "everything"],
        "time_ratio": [1.0, 0.5, 0.52, 0.48],
        "size_ratio": [1.0, 0.3, 0.3, 0.25],
        "iou": [1.0, 0.98, 0.97, 0.91],
        "best": [True, True, False, True],
    }
)


def test_parts_stand_in_the_order_they_are_computed() -> None:
    (axes,) = plots.block_damage(SWEPT).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["patch_embed", "blocks.2", "blocks.10", "decoder.heads"]
    lost = [bar.get_width() for bar in axes.patches]
    assert lost == pytest.approx([0.001, 0.01, 0.10, 0.05])
    assert axes.get_xlabel()
    assert axes.get_title()


def test_the_worst_part_has_a_colour_of_its_own() -> None:
    (axes,) = plots.block_damage(SWEPT).axes
    colours = [bar.get_facecolor() for bar in axes.patches]
    assert colours.count(colours[2]) == 1
    assert len(set(colours)) == 2


def test_every_recipe_is_named_once_and_stands_in_both_panels() -> None:
    left, middle, right = plots.pareto(TABLE).axes
    assert sorted(text.get_text() for text in middle.texts) == sorted(TABLE["recipe"])
    for axes, column in ((left, "time_ratio"), (right, "size_ratio")):
        points = axes.collections[0].get_offsets().tolist()
        assert points == TABLE[[column, "iou"]].to_numpy().tolist()
        assert axes.get_xlabel()
        assert axes.get_ylabel()


def test_recipes_that_are_beaten_are_hollow() -> None:
    left = plots.pareto(TABLE).axes[0]
    filled = left.collections[0].get_facecolors()[:, 3] > 0
    assert filled.tolist() == TABLE["best"].tolist()
