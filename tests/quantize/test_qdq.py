"""Bundles in 8 bits: what is in them, that they serve like any other, what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, numpy_helper

from sam2lab import open_segmenter
from sam2lab.export.onnx import export
from sam2lab.quantize import ALL, Calibrated, Recipe, calibrate, parts, quantize
from sam2lab.quantize.integer_kernels import for_integer_kernels
from sam2lab.quantize.model_parts import expected_parts
from sam2lab.reference import zoo
from sam2lab.runtime.bundle import BUNDLE_FILE, Bundle
from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.video.protocol import Memories
from tests.exporting import ATTENTIONS, LINEAR_LAYERS, Export

SIZE = (64, 96)
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
    """The operators that onnxruntime runs."""
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


def test_the_memory_encoder_stays_as_it_was(bundle: Bundle, exact: Bundle) -> None:
    assert bundle.video == exact.video
    assert bundle.graphs["memory_encoder"] == exact.graphs["memory_encoder"]


def test_frames_look_at_memories_nearly_as_in_the_float_model(
    bundle: Bundle, exact: Bundle, exported: Export
) -> None:
    engines = OnnxEngine(bundle), OnnxEngine(exact)
    (frame,) = engines[1].encode(exported("nano", SIZE).pixels()).split()
    rng, tokens = np.random.default_rng(0), math.prod(exact.info.embed_size)
    memories = Memories(
        rng.standard_normal((2, 7, tokens, 32), np.float32),
        rng.integers(0, 7, (2, 7)),
        rng.standard_normal((2, 16, 128), np.float32),
        rng.random((2, 16), np.float32),
    )
    found, wanted = (engine.condition(frame, memories).image_embed for engine in engines)
    assert not np.array_equal(found, wanted)
    # As for the encoder, in four layers instead of eight blocks.
    assert ((found - wanted) ** 2).sum() < 0.01 * (wanted**2).sum()


def test_scores_of_memories_are_computed_in_integers_and_in_bands(
    bundle: Bundle, tmp_path: Path
) -> None:
    operators = optimised(bundle.path("memory_attention"), tmp_path)
    exact = onnx.load(bundle.path("memory_attention"))
    assert operators.count("MatMulIntegerToFloat") >= operators.count("Softmax") >= 4
    assert "QuantizeLinear" in operators
    assert {node.domain for node in exact.graph.node} == {""}


def test_the_recipe_comes_back_from_the_bundle(calibrated: Calibrated, tmp_path: Path) -> None:
    recipe = Recipe(keep_float=("decoder", "encoder.blocks.3.mlp"), calibration="entropy")
    written = calibrated.write(recipe, tmp_path / "nano")
    read = Bundle.open(written.folder).recipe
    assert read is not None
    assert Recipe.from_json(read) == recipe


def test_a_float_bundle_has_no_recipe(exact: Bundle) -> None:
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


def test_weights_are_signed_and_have_a_range_for_each_channel(
    encoder: onnx.ModelProto, exact: Bundle
) -> None:
    stored, made_by = constants(encoder), makers(encoder)
    original = constants(for_integer_kernels(onnx.load(exact.path("encoder"))))
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
        # Any scale will do for weights that are all 0, and onnxruntime takes 1.
        largest = np.abs(weights).max(axis=0)
        np.testing.assert_allclose(scale, np.where(largest, largest / 127, 1), rtol=1e-5)
        # Rounded to the nearest, so off by half a step of the channel's own.
        assert (np.abs(values * scale - weights) <= 0.501 * scale).all()
        seen += 1
    assert seen == LINEAR_LAYERS


def test_what_comes_first_is_unsigned_and_what_comes_second_is_signed(
    encoder: onnx.ModelProto,
) -> None:
    stored, made_by = constants(encoder), makers(encoder)
    products = [
        node
        for node in encoder.graph.node
        if node.op_type == "MatMul" and "_flat" not in node.output[0]
    ]
    assert len(products) == 2 * ATTENTIONS
    for node in products:
        first, second = (stored[made_by[name].input[2]] for name in node.input)
        assert first.dtype == np.uint8
        assert second.dtype == np.int8
        assert second == 0


def test_the_runtime_joins_everything_to_integer_operators(bundle: Bundle, tmp_path: Path) -> None:
    operators = optimised(bundle.path("encoder"), tmp_path)
    assert operators.count("QGemm") == LINEAR_LAYERS
    products = operators.count("MatMulIntegerToFloat") + operators.count("QLinearMatMul")
    assert products == 2 * ATTENTIONS
    assert not {"Gemm", "MatMul", "FusedMatMul"} & set(operators)
    # The neck's two coarse levels; the patches' convolution stays float.
    assert (operators.count("QLinearConv"), operators.count("Conv")) == (2, 1)
    # An operation without an integer kernel is still one operator, and not many small ones.
    assert operators.count("Gelu") == 8
    assert operators.count("Softmax") == ATTENTIONS
    assert operators.count("LayerNormalization") == 16
    assert not {"Erf", "Exp", "Pow", "Sqrt", "ReduceMean"} & set(operators)


def test_what_the_recipe_keeps_is_float(calibrated: Calibrated, tmp_path: Path) -> None:
    recipe = Recipe(keep_float=(*USUAL.keep_float, "encoder.blocks.2"))
    model = onnx.load(calibrated.write(recipe, tmp_path / "nano").path("encoder"))
    made_by = makers(model)
    layers = [node for node in model.graph.node if node.op_type in ("Gemm", "Conv")]
    kept = {
        node.name
        for node in layers
        if node.input[1] not in made_by or made_by[node.input[1]].op_type != "DequantizeLinear"
    }
    assert len(layers) == LINEAR_LAYERS + 3  # The patches' convolution and two in the neck.
    assert kept == {
        node.name for node in layers if node.name.startswith(("/blocks.2/", "/patch_embed/"))
    }
    # Queries, keys, values, their projection, the two layers of the MLP, and the patches.
    assert len(kept) == 6 + 1


def test_everything_can_be_quantised_and_served(calibrated: Calibrated, tmp_path: Path) -> None:
    written = calibrated.write(ALL, tmp_path / "nano")
    decoder = onnx.load(written.path("decoder"))
    types = {tensor.data_type for tensor in decoder.graph.initializer}
    assert TensorProto.INT8 in types
    photo = np.zeros((90, 70, 3), np.uint8)
    boxes = [[5, 5, 20, 20], [1, 1, 9, 9]]
    (prediction,) = open_segmenter(written.folder).segment_images(photo, boxes=boxes)
    assert prediction.masks.shape == (2, 3, 90, 70)


def test_the_same_images_give_the_same_bytes(exact: Bundle, tmp_path: Path) -> None:
    first, second = (quantize(exact, tmp_path / name, count=2) for name in ("a", "b"))
    assert first.key == second.key


def test_a_graph_without_anything_to_smooth_is_quantised_all_the_same(
    exact: Bundle, tmp_path: Path
) -> None:
    """The decoder has no LayerNorm that only Gemm nodes read."""
    recipe = Recipe(keep_float=("encoder",), smoothing=0.5)
    written = calibrate(exact, recipe, count=1).write(recipe, tmp_path / "nano")
    assert written.graphs["decoder"].bytes < exact.graphs["decoder"].bytes


def test_each_graph_is_read_once_to_be_calibrated_and_never_to_be_written(
    exact: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    real = onnx.load
    # onnxruntime reads files of its own so, by their names in text.
    monkeypatch.setattr(onnx, "load", lambda path: read.append(path) or real(path))
    calibrated = calibrate(exact, Recipe(keep_float=("encoder",)), count=1)
    calibrated.write(Recipe(keep_float=("encoder", "decoder.heads")), tmp_path / "nano")
    graphs = [exact.path("encoder"), exact.path("decoder")]
    assert [path for path in read if path in graphs] == graphs


def test_parts_are_named_in_the_order_they_are_computed(exact: Bundle) -> None:
    named = parts(exact)
    assert named[0] == "encoder.patch_embed"
    assert {f"encoder.blocks.{b}.{p}" for b in range(8) for p in ("mlp", "attention")} < set(named)
    assert named.index("decoder.heads") < named.index("memory_attention.scores.0")
    assert set(named) == set(expected_parts(blocks=8, layers=2, memory_layers=2))


class TestRefusals:
    def test_a_bundle_that_is_not_float(self, bundle: Bundle, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="is w8a8; wanted a float one"):
            quantize(bundle, tmp_path / "again")

    def test_a_part_that_is_not_there(self, calibrated: Calibrated, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"keeps encoder\.blocks\.77 in float.*blocks\.7\."):
            calibrated.write(Recipe(keep_float=("encoder.blocks.77",)), tmp_path / "nano")
        assert not list(tmp_path.iterdir())

    def test_a_part_that_is_not_there_before_any_image_is_read(
        self, exact: Bundle, tmp_path: Path
    ) -> None:
        with pytest.raises(ValueError, match=r"keeps encoder\.blocks\.77 in float"):
            quantize(exact, tmp_path / "nano", Recipe(("encoder.blocks.77",)), ["no such photo"])

    def test_a_part_that_is_not_there_before_the_float_graphs_are_made(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nano = zoo.load("nano", weights="random", input_size=(64, 96))
        monkeypatch.setattr("sam2lab.export.tracing.trace", None)
        for part in ("encoder.blocks.8", "decoder.layers.2"):
            with pytest.raises(ValueError, match=rf"keeps {part} in float, which is no part"):
                export(nano, tmp_path / "nano", precision="w8a8", recipe=Recipe((part,)))

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
            {"recipe": {"smoothing": 0.5}},
            {"images": 5},
            {"folder": None},
            {"bundle": None},
        ],
    )
    def test_what_is_no_such_thing(self, exact: Bundle, tmp_path: Path, wrong: dict) -> None:
        (name,) = wrong
        with pytest.raises(ValueError, match=rf"^{name} is .*; wanted a"):
            quantize(**{"bundle": exact, "folder": tmp_path / "nano"} | wrong)

    @pytest.mark.parametrize(
        "wrong", [{"recipe": {"smoothing": 0.5}}, {"calibration": 5}, {"folder": None}]
    )
    def test_what_is_no_such_thing_before_anything_is_traced(
        self, tmp_path: Path, wrong: dict, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nano = zoo.load("nano", weights="random", input_size=(64, 96))
        monkeypatch.setattr("sam2lab.export.tracing.trace", None)
        with pytest.raises(ValueError, match=rf"^{next(iter(wrong))} is .*; wanted a"):
            export(**{"model": nano, "folder": tmp_path / "nano", "precision": "w8a8"} | wrong)

    @pytest.mark.parametrize("calibration", ["photos", np.zeros((2, 4, 4, 3), np.uint8)])
    def test_a_calibration_for_another_precision(self, tmp_path: Path, calibration: object) -> None:
        nano = zoo.load("nano", weights="random", input_size=(64, 96))
        with pytest.raises(ValueError, match="calibration and recipe are for precision='w8a8'"):
            export(nano, tmp_path / "nano", precision="fp16", calibration=calibration)
