"""Bundles in 8 bits: what is in them, that they serve like any other, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, numpy_helper

from sam2lab import open_segmenter
from sam2lab.export.onnx import export
from sam2lab.export.quantize import Calibrated, calibrate, parts, quantize
from sam2lab.export.recipe import Recipe
from sam2lab.export.rewire import rewire
from sam2lab.export.sweep import ALL
from sam2lab.reference import zoo
from sam2lab.runtime.bundle import BUNDLE_FILE, Bundle
from sam2lab.runtime.onnx_engine import OnnxEngine
from tests.export.conftest import Export

SIZE = (128, 192)
USUAL = Recipe()


@pytest.fixture(scope="module")
def exact(exported: Export) -> Bundle:
    return exported("nano", SIZE).bundle


@pytest.fixture(scope="module")
def calibrated(exact: Bundle) -> Calibrated:
    return calibrate(exact, ALL, count=4)


@pytest.fixture(scope="module")
def bundle(calibrated: Calibrated, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return calibrated.write(USUAL, tmp_path_factory.mktemp("quantized") / "nano")


@pytest.fixture(scope="module")
def encoder(bundle: Bundle) -> onnx.ModelProto:
    return onnx.load(bundle.path("encoder"))


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def makers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    return {name: node for node in model.graph.node for name in node.output}


def optimised(path: Path, tmp_path: Path) -> list[str]:
    """The operators that onnxruntime really runs."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]


def test_it_opens_verifies_and_says_what_it_is(bundle: Bundle, exact: Bundle) -> None:
    opened = Bundle.open(bundle.folder, verify=True)
    assert opened.info == replace(exact.info, precision="w8a8")
    assert {name: graph.inputs for name, graph in opened.graphs.items()} == {
        name: graph.inputs for name, graph in exact.graphs.items()
    }
    assert "recipe" in opened.describe()


def test_the_recipe_comes_back_from_the_bundle(calibrated: Calibrated, tmp_path: Path) -> None:
    recipe = Recipe(keep_float=("decoder", "encoder.blocks.3.mlp"), calibration="entropy")
    written = calibrated.write(recipe, tmp_path / "nano")
    read = Bundle.open(written.folder).recipe
    assert read is not None
    assert Recipe.from_json(read) == recipe


def test_a_bundle_without_a_recipe_is_as_before(exact: Bundle) -> None:
    assert Bundle.open(exact.folder).recipe is None
    assert "recipe" not in json.loads((exact.folder / BUNDLE_FILE).read_text())


def test_it_is_far_smaller(bundle: Bundle, exact: Bundle) -> None:
    # A quarter, and what stays float, names and scales.
    assert bundle.graphs["encoder"].bytes < 0.35 * exact.graphs["encoder"].bytes


def test_it_answers_nearly_as_the_float_model(bundle: Bundle, exported: Export) -> None:
    pixels = exported("nano", SIZE).pixels()
    for found, wanted in zip(
        OnnxEngine(bundle).encode(pixels).split()[0].__dict__.values(),
        OnnxEngine(exported("nano", SIZE).bundle).encode(pixels).split()[0].__dict__.values(),
        strict=True,
    ):
        # 8 bits are 48 dB for one tensor; eight blocks of them leave more than 20.
        assert ((found - wanted) ** 2).sum() < 0.01 * (wanted**2).sum()


def test_it_is_served_like_any_other(bundle: Bundle) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    (prediction,) = open_segmenter(bundle.folder).segment_images(photo, boxes=[10, 10, 60, 50])
    assert prediction.masks.shape[-2:] == (90, 70)


def test_a_size_is_quantised_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAM2LAB_MODELS", str(tmp_path))
    asked = {"precision": "w8a8", "weights": "random", "input_size": (64, 96)}
    segmenter = open_segmenter("nano", **asked)
    assert segmenter.engine.info.precision == "w8a8"
    (folder,) = tmp_path.iterdir()
    before = (folder / BUNDLE_FILE).stat().st_mtime_ns
    assert open_segmenter("nano", **asked).engine.key == segmenter.engine.key
    assert (folder / BUNDLE_FILE).stat().st_mtime_ns == before


def test_weights_are_signed_and_have_a_range_for_each_channel(
    encoder: onnx.ModelProto, exact: Bundle
) -> None:
    stored, made_by = constants(encoder), makers(encoder)
    original = constants(rewire(onnx.load(exact.path("encoder"))))
    seen = 0
    for node in encoder.graph.node:
        if node.op_type != "Gemm":
            continue
        dequantize = made_by[node.input[1]]
        assert dequantize.op_type == "DequantizeLinear"
        values, scale, zero = (stored[name] for name in dequantize.input)
        weights = original[dequantize.input[0].removesuffix("_quantized")]
        assert values.dtype == np.int8
        assert not zero.any()
        assert scale.shape == (weights.shape[1],)
        np.testing.assert_allclose(scale, np.abs(weights).max(axis=0) / 127, rtol=1e-5)
        # Rounded to the nearest, so off by half a step of the channel's own.
        assert (np.abs(values * scale - weights) <= 0.501 * scale).all()
        seen += 1
    assert seen == 8 * 6 + 3 + 2


def test_what_comes_first_is_unsigned_and_what_comes_second_is_signed(
    encoder: onnx.ModelProto,
) -> None:
    stored, made_by = constants(encoder), makers(encoder)
    products = [
        node
        for node in encoder.graph.node
        if node.op_type == "MatMul" and "_flat" not in node.output[0]
    ]
    assert len(products) == 2 * 8
    for node in products:
        first, second = (stored[made_by[name].input[2]] for name in node.input)
        assert first.dtype == np.uint8
        assert second.dtype == np.int8
        assert second == 0


def test_the_runtime_joins_everything_to_integer_operators(bundle: Bundle, tmp_path: Path) -> None:
    operators = optimised(bundle.path("encoder"), tmp_path)
    assert operators.count("QGemm") == 8 * 6 + 3 + 2
    assert operators.count("MatMulIntegerToFloat") == operators.count("QLinearMatMul") == 8
    assert not {"Gemm", "MatMul", "FusedMatMul"} & set(operators)
    # The neck's two coarse levels; the patches' convolution stays float.
    assert (operators.count("QLinearConv"), operators.count("Conv")) == (2, 1)
    # What has no integer kernel is still one operator each, and no heap of little ones.
    assert operators.count("Gelu") == operators.count("Softmax") == 8
    assert operators.count("LayerNormalization") == 16
    assert not {"Erf", "Exp", "Pow", "Sqrt", "ReduceMean"} & set(operators)


def test_what_the_recipe_keeps_is_float(calibrated: Calibrated) -> None:
    recipe = Recipe(keep_float=(*USUAL.keep_float, "encoder.blocks.2"))
    model = calibrated.quantized("encoder", recipe)
    made_by = makers(model)
    for node in model.graph.node:
        if node.op_type in ("Gemm", "Conv") and "_flat" in node.output[0]:
            maker = made_by.get(node.input[1])
            quantised = maker is not None and maker.op_type == "DequantizeLinear"
            assert quantised == (not node.name.startswith("/blocks.2/"))


def test_everything_can_be_quantised(calibrated: Calibrated, tmp_path: Path) -> None:
    written = calibrated.write(ALL, tmp_path / "nano")
    decoder = onnx.load(written.path("decoder"))
    types = {tensor.data_type for tensor in decoder.graph.initializer}
    assert TensorProto.INT8 in types
    photo = np.zeros((50, 50, 3), np.uint8)
    open_segmenter(written.folder).segment_images(photo, boxes=[[5, 5, 20, 20], [1, 1, 9, 9]])


def test_the_same_pictures_give_the_same_bytes(exact: Bundle, tmp_path: Path) -> None:
    first, second = (quantize(exact, tmp_path / name, count=2) for name in ("a", "b"))
    assert first.key == second.key


def test_parts_are_named_in_the_order_they_are_computed(exact: Bundle) -> None:
    named = parts(exact)
    assert named[0] == "encoder.patch_embed"
    assert {f"encoder.blocks.{b}.{p}" for b in range(8) for p in ("mlp", "attention")} < set(named)
    assert named[-1] == "decoder.heads"


class TestRefusals:
    def test_a_bundle_that_is_not_float(self, bundle: Bundle, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="is w8a8; wanted a float one"):
            quantize(bundle, tmp_path / "again")

    def test_a_part_that_is_not_there(self, calibrated: Calibrated, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"keeps encoder\.blocks\.77 in float.*blocks\.7\."):
            calibrated.write(Recipe(keep_float=("encoder.blocks.77",)), tmp_path / "nano")
        assert not list(tmp_path.iterdir())

    def test_a_part_that_is_not_there_before_any_picture_is_read(
        self, exact: Bundle, tmp_path: Path
    ) -> None:
        with pytest.raises(ValueError, match=r"keeps encoder\.blocks\.77 in float"):
            quantize(exact, tmp_path / "nano", Recipe(("encoder.blocks.77",)), ["no such photo"])

    def test_what_was_not_calibrated(self, exact: Bundle, tmp_path: Path) -> None:
        only_decoder = calibrate(exact, Recipe(keep_float=("encoder",)), count=1)
        with pytest.raises(ValueError, match="not calibrated"):
            only_decoder.write(ALL, tmp_path / "nano")
        assert not list(tmp_path.iterdir())

    def test_another_smoothing(self, calibrated: Calibrated, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"smoothing 0\.5.*calibrated with None"):
            calibrated.write(replace(ALL, smoothing=0.5), tmp_path / "nano")

    def test_a_folder_with_a_bundle(self, exact: Bundle) -> None:
        with pytest.raises(ValueError, match="already has"):
            quantize(exact, exact.folder)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"keep_float": "decoder"},
            {"keep_float": ("blocks.3",)},
            {"calibration": "guess"},
            {"smoothing": 2.0},
        ],
    )
    def test_recipes_that_mean_nothing(self, wrong: dict) -> None:
        (name,) = wrong
        with pytest.raises(ValueError, match=f"{name} is .*wanted"):
            Recipe(**wrong)

    @pytest.mark.parametrize("calibration", ["photos", np.zeros((2, 4, 4, 3), np.uint8)])
    def test_a_calibration_for_another_precision(self, tmp_path: Path, calibration: object) -> None:
        nano = zoo.load("nano", weights="random", input_size=(64, 96))
        with pytest.raises(ValueError, match="calibration and recipe are for precision='w8a8'"):
            export(nano, tmp_path / "nano", precision="fp16", calibration=calibration)
