"""Graphs rewritten for integer kernels, and smoothed ones, compute what they did before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import sam2lab.export.hiera as hiera
from sam2lab.export.onnx import export
from sam2lab.quantize.integer_kernels import for_integer_kernels
from sam2lab.quantize.smoothing import shares, smooth, smoothable
from sam2lab.reference import zoo
from tests.exporting import ATTENTIONS, LINEAR_LAYERS, Export, Exported, without_memory

# float32 rounding leaves about 5e-6 of a tensor's standard deviation.
CLOSE = 1e-4
WIDE = (208, 336)


@pytest.fixture(scope="module")
def case(exported: Export) -> Exported:
    """nano at a size where windows reach beyond the map."""
    return exported("nano", WIDE)


def encoder(case: Exported) -> onnx.ModelProto:
    return onnx.load(case.bundle.path("encoder"))


def assert_same(model: onnx.ModelProto, case: Exported) -> None:
    onnx.checker.check_model(model, full_check=True)
    pixels = case.pixels(2)
    session = ort.InferenceSession(model.SerializeToString())
    for found, wanted in zip(
        session.run(None, {"image": pixels}), case.encode(pixels), strict=True
    ):
        assert np.abs(found - wanted).max() <= CLOSE * wanted.std()


def test_a_rewritten_encoder_computes_the_same(case: Exported) -> None:
    model = for_integer_kernels(encoder(case))
    assert_same(model, case)
    operators = [node.op_type for node in model.graph.node]
    assert operators.count("Gemm") == LINEAR_LAYERS


def test_what_is_computed_in_bands_is_computed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hiera, "BAND_BYTES", 40_000)
    monkeypatch.setattr(hiera, "SCORE_BYTES", 40_000)
    nano = zoo.load("nano", weights="random", input_size=(64, 96))
    with without_memory():
        model = onnx.load(export(nano, tmp_path / "nano").path("encoder"))
    whole = for_integer_kernels(model)
    assert [node.op_type for node in model.graph.node].count("Split") > 8
    operators = [node.op_type for node in whole.graph.node]
    assert operators.count("Gemm") == LINEAR_LAYERS
    assert operators.count("Softmax") == ATTENTIONS
    pixels = np.random.default_rng(0).standard_normal((2, 3, 64, 96)).astype(np.float32)
    found, wanted = (
        ort.InferenceSession(graph.SerializeToString()).run(None, {"image": pixels})
        for graph in (whole, model)
    )
    for a, b in zip(found, wanted, strict=True):
        assert np.abs(a - b).max() <= CLOSE * b.std()


def test_a_rewritten_decoder_answers_the_same(case: Exported) -> None:
    model = for_integer_kernels(onnx.load(case.bundle.path("decoder")))
    rewritten = replace(case, decoder=ort.InferenceSession(model.SerializeToString()))
    features = case.encode(case.pixels())
    for objects, points in ((1, 1), (3, 2)):
        coords = np.full((objects, points, 2), 50, np.float32)
        labels = np.ones((objects, points), np.float32)
        found, _ = rewritten.decode(features, coords, labels)
        wanted, _ = case.decode(features, coords, labels)
        assert np.abs(found - wanted).max() <= CLOSE * wanted.std()


def test_smoothing_moves_outliers_and_changes_nothing(case: Exported) -> None:
    model = for_integer_kernels(encoder(case))
    rng = np.random.default_rng(0)
    widths = {
        node.output[0]: next(t.dims[0] for t in model.graph.initializer if t.name == node.input[1])
        for node in model.graph.node
        if node.op_type == "LayerNormalization"
    }
    peaks = {
        name: rng.lognormal(0, 2, widths[name]).astype(np.float32) for name in smoothable(model)
    }
    # Each block has a LayerNorm that only its MLP reads.
    assert len(peaks) >= 8
    smoothed = smooth(model, shares(model, peaks, 0.5))
    assert_same(smoothed, case)
    changed = {t.name for t in smoothed.graph.initializer} - {
        t.name for t in model.graph.initializer
    }
    assert len(changed) >= 3 * len(peaks)
