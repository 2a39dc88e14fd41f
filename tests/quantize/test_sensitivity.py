"""The sweep finds the block that 8 bits ruin, and recipes that spare it keep the masks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sam2lab.export.onnx import export
from sam2lab.quantize import ALL, Judge, Recipe, blocks, calibrate, pareto, recipes, spare, sweep
from sam2lab.quantize.sensitivity import damage_of
from sam2lab.quantize.tradeoffs import FLOAT
from sam2lab.reference import zoo
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.onnx import OnnxEngine
from tests.exporting import without_memory

PLANTED = 2
IMAGES = [np.random.default_rng(n).integers(0, 256, (48, 64, 3), dtype=np.uint8) for n in range(2)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """nano with a channel of one block a thousand times as large, its weights as much smaller."""
    model = zoo.load("nano", weights="random", input_size=(64, 96))
    block = model.module.image_encoder.trunk.blocks[PLANTED]
    with torch.no_grad():
        block.norm2.weight[5] *= 1000
        block.norm2.bias[5] *= 1000
        block.mlp.layers[0].weight[:, 5] /= 1000
    with without_memory():
        return export(model, tmp_path_factory.mktemp("planted") / "nano")


@pytest.fixture(scope="module")
def judge(bundle: Bundle) -> Judge:
    return Judge(OnnxEngine(bundle), IMAGES)


@pytest.fixture(scope="module")
def swept(bundle: Bundle, judge: Judge) -> pd.DataFrame:
    # Half of the encoder's blocks: the others are quantised no differently.
    of = [part for part in blocks(bundle) if part.startswith("encoder.blocks")][:4]
    return sweep(bundle, replace(ALL, calibration="min-max"), IMAGES, of=of, judge=judge)


def test_the_planted_block_is_found(swept: pd.DataFrame) -> None:
    assert swept["part"][0] == f"encoder.blocks.{PLANTED}"
    assert swept["sqnr_db"].idxmin() == 0
    # Three of four blocks are sound: what they lose together is less.
    assert swept["share"][0] > 0.5


def test_the_worst_are_spared(swept: pd.DataFrame) -> None:
    recipe = spare(swept, 1)
    assert recipe.keep_float == (f"encoder.blocks.{PLANTED}",)
    assert not recipe.quantises(f"encoder.blocks.{PLANTED}.mlp")
    assert len(spare(swept, 3, Recipe()).keep_float) == len(Recipe().keep_float) + 3


def test_smoothing_repairs_a_channel_that_stands_out_and_leaves_nothing_behind(
    bundle: Bundle, judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    damage = {}
    for alpha in (None, 0.5):
        recipe = Recipe(calibration="min-max", smoothing=alpha)
        damage[alpha] = damage_of(calibrate(bundle, recipe, IMAGES), recipe, judge)
    # 20 dB is a tenth of the error.
    assert damage[0.5].sqnr_db > damage[None].sqnr_db + 10
    assert damage[0.5].iou > damage[None].iou
    assert not list(tmp_path.iterdir())


def test_the_float_model_does_itself_no_damage(bundle: Bundle, judge: Judge) -> None:
    damage = judge.damage(OnnxEngine(bundle))
    assert (damage.iou, damage.iou_p5) == (1, 1)
    assert damage.sqnr_db == np.inf


def test_parts_that_are_not_there_are_named(bundle: Bundle, judge: Judge) -> None:
    with pytest.raises(ValueError, match=r"of is \['encoder\.blocks\.99'\].*blocks\.7"):
        sweep(bundle, images=IMAGES, of=["encoder.blocks.99"], judge=judge)


@pytest.fixture(scope="module")
def table(bundle: Bundle, judge: Judge, swept: pd.DataFrame) -> pd.DataFrame:
    chosen = {
        "spared": spare(swept, 1, Recipe()),
        "min-max": Recipe(calibration="min-max"),
        "everything": ALL,
    }
    return pareto(bundle, chosen, IMAGES, judge=judge, runs=2)


class TestPareto:
    def test_has_a_row_for_the_model_and_each_recipe(self, table: pd.DataFrame) -> None:
        assert table["recipe"].tolist() == [FLOAT, "spared", "min-max", "everything"]
        assert table["time_ratio"][0] == table["size_ratio"][0] == table["iou"][0] == 1
        assert (table["time_ratio"] > 0).all()

    def test_what_is_spared_costs_bytes_and_saves_masks(self, table: pd.DataFrame) -> None:
        row = table.set_index("recipe")
        assert row["size_mb"]["everything"] < row["size_mb"]["min-max"] < row["size_mb"]["spared"]
        assert row["size_mb"]["spared"] < row["size_mb"][FLOAT]
        assert row["iou"]["spared"] > row["iou"]["min-max"]

    def test_there_are_at_least_eight_recipes_to_choose_from(
        self, bundle: Bundle, swept: pd.DataFrame
    ) -> None:
        chosen = recipes(bundle, swept)
        assert len(chosen) >= 8
        assert len(set(chosen.values())) == len(chosen)

    def test_refuses_no_recipe_at_all(self, bundle: Bundle, judge: Judge) -> None:
        with pytest.raises(ValueError, match="recipes is empty"):
            pareto(bundle, {}, IMAGES, judge=judge)

    def test_refuses_the_models_own_name(self, bundle: Bundle, judge: Judge) -> None:
        with pytest.raises(ValueError, match="'float'"):
            pareto(bundle, {FLOAT: Recipe()}, IMAGES, judge=judge)
