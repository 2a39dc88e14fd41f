"""Statistics of tensors are those of their values, and memory does not grow with the images."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from sam2lab.quantize import Spread, tensor_statistics
from sam2lab.quantize.integer_kernels import for_integer_kernels
from sam2lab.quantize.tensor_statistics import channel_peaks, extremes, observe
from tests.exporting import Export

SMALL = (64, 96)


@pytest.fixture(scope="module")
def model(exported: Export) -> onnx.ModelProto:
    return for_integer_kernels(onnx.load(exported("nano", SMALL).bundle.path("encoder")))


@pytest.fixture(scope="module")
def tensors(model: onnx.ModelProto) -> list[str]:
    products = [node for node in model.graph.node if node.op_type in ("MatMul", "Gemm")]
    return list(dict.fromkeys(node.input[0] for node in products))


def pixels(count: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [{"image": rng.normal(size=(1, 3, *SMALL)).astype(np.float32)} for _ in range(count)]


def outputs(model: onnx.ModelProto, tensors: list[str], feeds: list) -> dict[str, np.ndarray]:
    """Every value of the tensors, the brute-force way."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors)
    session = ort.InferenceSession(whole.SerializeToString())
    runs = [session.run(tensors, feed) for feed in feeds]
    return {name: np.stack([run[i] for run in runs]) for i, name in enumerate(tensors)}


def test_extremes_and_histograms_are_those_of_the_values(
    model: onnx.ModelProto, tensors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_statistics, "SAMPLES", 10**9)
    feeds = pixels(3)
    spreads = observe(model, tensors, feeds)
    for name, values in outputs(model, tensors, feeds).items():
        spread = spreads[name]
        assert (spread.low, spread.high) == (values.min(), values.max())
        assert spread.counts.sum() == values.size


def test_large_tensors_are_sampled_all_channels_alike(
    model: onnx.ModelProto, tensors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_statistics, "SAMPLES", 500)
    feeds = pixels(2)
    spreads = observe(model, tensors, feeds)
    for name, values in outputs(model, tensors, feeds).items():
        assert spreads[name].counts.sum() <= 2 * 500
        assert (spreads[name].low, spreads[name].high) == (values.min(), values.max())
        if values.size > 10_000:
            # The mean of this many values is within five standard errors.
            n = spreads[name].counts.sum()
            mean = spreads[name].counts @ spreads[name].centres / n
            assert abs(mean - values.mean()) < 5 * values.std() / np.sqrt(n)


def test_no_image_is_kept_when_the_next_one_comes(
    model: onnx.ModelProto, tensors: list[str]
) -> None:
    alive: list[weakref.ref] = []

    def feeds() -> Iterator[dict[str, np.ndarray]]:
        for feed in range(6):
            image = np.full((1, 3, *SMALL), feed, np.float32)
            alive.append(weakref.ref(image))
            # The loop may still hold the image before this one.
            assert sum(ref() is not None for ref in alive) <= 2
            yield {"image": image}

    spreads = observe(model, tensors, feeds())
    assert len(alive) == 6
    kept = sum(spread.counts.nbytes for spread in spreads.values())
    assert kept == len(spreads) * 8 * Spread().counts.size


def test_peaks_are_the_largest_magnitudes_of_channels(model: onnx.ModelProto) -> None:
    norms = [n.output[0] for n in model.graph.node if n.op_type == "LayerNormalization"][:4]
    feeds = pixels(2)
    peaks = channel_peaks(model, norms, feeds)
    for name, values in outputs(model, norms, feeds).items():
        wanted = np.abs(values).max(axis=tuple(range(values.ndim - 1)))
        np.testing.assert_array_equal(peaks[name], wanted)


def test_extremes_of_moved_tensors_and_of_channels_are_those_of_the_values(
    model: onnx.ModelProto,
) -> None:
    norm = next(n.output[0] for n in model.graph.node if n.op_type == "LayerNormalization")
    moved = [n.output[0] for n in model.graph.node if n.op_type in ("Reshape", "Transpose")][:8]
    feeds = pixels(2)
    found = extremes(model, [norm, *moved], feeds, by_channel=[norm])
    for name, values in outputs(model, [norm, *moved], feeds).items():
        axes = tuple(range(values.ndim - 1)) if name == norm else None
        np.testing.assert_array_equal(found[name], (values.min(axis=axes), values.max(axis=axes)))
