"""Joined bands: the same attention, in one piece, without repeated keys."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2lab.export import export, memory
from sam2lab.reference import zoo
from sam2lab.runtime.engines.openvino import core
from sam2lab.runtime.engines.openvino import openvino as installed
from sam2lab.runtime.engines.openvino_attention import join_bands
from tests.exporting import ATTENTIONS

openvino: Any = installed
if openvino is None:
    pytest.skip(
        "openvino is not installed: pip install 'sam2lab[openvino]'", allow_module_level=True
    )


@pytest.fixture(scope="module")
def nano_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """nano with bands that are small enough for its memory attention to have several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "SCORE_BYTES", 16 * 2**20)
        return export(zoo.load("nano"), tmp_path_factory.mktemp("banded") / "nano").folder


def read(folder: Path, graph: str) -> Any:
    return core().read_model(folder / f"{graph}.onnx")


def kinds(model: Any) -> Counter[str]:
    return Counter(node.get_type_name() for node in model.get_ops())


def inputs(graph: str, objects: int, memories: int, pointers: int) -> dict[str, np.ndarray]:
    """What nano's graphs take at 512 x 512."""
    rng = np.random.default_rng(objects)

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    if graph == "encoder":
        return {"image": draw(objects, 3, 512, 512)}
    return {
        "image_embed": draw(1, 128, 32, 32),
        "memory": draw(objects, memories, 1024, 32),
        "memory_age": rng.integers(0, 7, (objects, memories)),
        "object_pointers": draw(objects, pointers, 128),
        "pointer_time": draw(objects, pointers),
    }


@pytest.mark.parametrize(
    ("graph", "objects", "memories", "pointers"),
    [("encoder", 1, 0, 0), ("memory_attention", 1, 1, 0), ("memory_attention", 2, 3, 5)],
)
def test_it_changes_no_answer(
    nano_bundle: Path, graph: str, objects: int, memories: int, pointers: int
) -> None:
    given = inputs(graph, objects, memories, pointers)
    answers = []
    for joins in (False, True):
        model = read(nano_bundle, graph)
        if joins:
            assert join_bands(model, openvino.opset13) > 0
        compiled = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        answers.append([np.copy(answer) for answer in compiled(given).values()])
    for plain, joined in zip(*answers, strict=True):
        # Sums of float32 in another order, in standard deviations of a tensor.
        np.testing.assert_allclose(joined, plain, atol=1e-5 * plain.std(), rtol=0)


def test_each_attention_has_one_softmax(nano_bundle: Path) -> None:
    model = read(nano_bundle, "memory_attention")
    before = kinds(model)
    # At this size a frame's attention to itself repeats keys, and that to memories has bands.
    layers = before["Relu"]
    assert before["Softmax"] > 2 * layers
    assert before["Split"] == before["Divide"] - 1 == layers
    assert join_bands(model, openvino.opset13) == 2 * layers
    after = kinds(model)
    # The division that is left is the pointers' time by its periods.
    assert (after["Softmax"], after["Split"], after["Divide"]) == (2 * layers, 0, 1)


def test_windows_stay_as_they_are(nano_bundle: Path) -> None:
    model = read(nano_bundle, "encoder")
    # Two blocks attend everywhere, head by head, with four heads each.
    assert join_bands(model, openvino.opset13) == 2 * 4
    assert kinds(model)["Softmax"] == ATTENTIONS


def test_nothing_is_joined_twice(nano_bundle: Path) -> None:
    model = read(nano_bundle, "memory_attention")
    join_bands(model, openvino.opset13)
    assert join_bands(model, openvino.opset13) == 0


def test_the_decoder_has_no_bands(nano_bundle: Path) -> None:
    assert join_bands(read(nano_bundle, "decoder"), openvino.opset13) == 0
