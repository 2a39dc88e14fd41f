"""Constants that are stored in fewer bytes are nearly what they were."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from sam2lab.graphs.compress import halve_constants, halve_exact_constants, restore_constants
from tests.exporting import Export, Exported

SIZE = (208, 336)


@pytest.fixture(scope="module")
def case(exported: Export) -> Exported:
    return exported("nano", SIZE)


@pytest.fixture(scope="module")
def encoder(case: Exported) -> onnx.ModelProto:
    return onnx.load(case.bundle.path("encoder"))


def test_an_encoder_with_halved_constants_is_nearly_the_same(
    case: Exported, encoder: onnx.ModelProto
) -> None:
    halved = halve_constants(encoder)
    onnx.checker.check_model(halved, full_check=True)
    pixels = case.pixels(2)
    session = ort.InferenceSession(halved.SerializeToString())
    found = session.run(None, {"image": pixels})
    for a, b in zip(found, case.encode(pixels), strict=True):
        # Half precision keeps 11 bits: errors of 5e-4 in weights, fewer in their sums.
        assert np.abs(a - b).max() <= 2e-2 * b.std()
    # Names, shapes and the position encoding's factors stay as they are.
    assert halved.ByteSize() < 0.55 * encoder.ByteSize()


def test_position_encodings_are_stored_as_factors_that_lose_nothing(
    case: Exported, encoder: onnx.ModelProto
) -> None:
    trunk = case.model.module.image_encoder.trunk
    height, width = SIZE
    wanted = trunk._get_pos_embed((height // 4, width // 4)).detach().numpy()
    stored = {t.name: numpy_helper.to_array(t) for t in encoder.graph.initializer}
    assert "pos_embed" not in stored
    left, right = stored["pos_embed_left"], stored["pos_embed_right"]
    # A background that was enlarged from 7x7, and a window of 8x8 that was repeated.
    assert left.shape[1] <= 7 + 8
    found = (left @ right).reshape(wanted.shape)
    assert np.abs(found - wanted).max() < 1e-5 * wanted.std()


def product(values: np.ndarray) -> onnx.ModelProto:
    """A graph that multiplies (1, 64) by these values (64, 64)."""
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [onnx.helper.make_tensor_value_info("x", 1, [1, 64])],
        [onnx.helper.make_tensor_value_info("y", 1, [1, 64])],
        [numpy_helper.from_array(values, "w")],
    )
    opset = onnx.helper.make_opsetid("", 20)
    # The format of ONNX that this onnxruntime reads, not the newest that onnx writes.
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10)


def test_what_half_precision_cannot_hold_stays_as_it_is() -> None:
    values = np.full((64, 64), 1e6, np.float32)
    (kept,) = halve_constants(product(values)).graph.initializer
    assert np.array_equal(numpy_helper.to_array(kept), values)


def test_what_half_precision_holds_exactly_is_stored_so_and_answers_the_same_bits() -> None:
    rng = np.random.default_rng(0)
    model = product(rng.standard_normal((64, 64)).astype(np.float16).astype(np.float32))
    halved = halve_exact_constants(model)
    onnx.checker.check_model(halved, full_check=True)
    (stored,) = halved.graph.initializer
    assert numpy_helper.to_array(stored).dtype == np.float16
    feeds = {"x": rng.standard_normal((1, 64)).astype(np.float32)}
    found, wanted = (
        ort.InferenceSession(one.SerializeToString()).run(None, feeds) for one in (halved, model)
    )
    assert np.array_equal(found, wanted)
    assert restore_constants(halved) == model


@pytest.mark.parametrize("value", [0.1, 1e6, 1e-9])
def test_a_single_value_that_half_precision_rounds_keeps_its_constant_as_it_is(
    value: float,
) -> None:
    values = np.ones((64, 64), np.float32)
    values[3, 4] = value
    assert halve_exact_constants(product(values)) == product(values)
