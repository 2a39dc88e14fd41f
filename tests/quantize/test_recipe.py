"""Recipes take valid values, and refuse others with the way out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sam2lab.quantize import Recipe


def test_a_smoothing_may_be_one_of_numpys_numbers() -> None:
    assert json.dumps(Recipe(smoothing=np.float32(0.5)).to_json()).endswith('"smoothing": 0.5}')


@pytest.mark.parametrize(
    "wrong",
    [
        {"keep_float": "decoder"},
        {"keep_float": ("blocks.3",)},
        {"keep_float": ("encoder.blocks.3.attn",)},
        {"keep_float": ("encoder.blocks.three",)},
        {"keep_float": None},
        {"calibration": "guess"},
        {"smoothing": 2.0},
        {"smoothing": True},
        {"smoothing": "x"},
        {"smoothing": [0.5]},
    ],
)
def test_a_recipe_that_means_nothing_is_refused(wrong: dict) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} is .*wanted"):
        Recipe(**wrong)
