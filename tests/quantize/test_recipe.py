"""Recipes take valid values, and refuse others with the way out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sam2lab.quantize import Recipe
from sam2lab.quantize.model_parts import expected_parts


def test_a_smoothing_may_be_one_of_numpys_numbers() -> None:
    assert json.dumps(Recipe(smoothing=np.float32(0.5)).to_json()).endswith('"smoothing": 0.5}')


def test_the_usual_recipe_suits_models_with_and_without_a_memory() -> None:
    for memory_layers in (0, 4):
        Recipe().check_parts(expected_parts(8, 2, memory_layers))
    with pytest.raises(ValueError, match=r"keeps memory_attention\.mlp\.9 in float"):
        Recipe(("memory_attention.mlp.9",)).check_parts(expected_parts(8, 2, 4))


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
