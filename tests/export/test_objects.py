"""What the decoder's graph says about objects does not touch its answers about images."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from sam2lab.export.tracing import DECODER_OUTPUTS, OBJECT_OUTPUTS
from tests.exporting import Export

SIZE = (64, 96)
# (images, objects, points, masks, whether they count)
PROMPTS = [(1, 1, 1, 1, 0), (1, 2, 5, 1, 1), (1, 3, 0, 3, 1), (3, 3, 2, 3, 1), (1, 16, 1, 1, 0)]


@pytest.fixture(scope="module")
def whole(exported: Export) -> ort.InferenceSession:
    return exported("nano", SIZE).decoder


@pytest.fixture(scope="module")
def alone(exported: Export) -> ort.InferenceSession:
    """The same graph without what only objects need."""
    graph = onnx.load(exported("nano", SIZE).bundle.path("decoder"))
    needed = set(DECODER_OUTPUTS)
    nodes = []
    for node in reversed(graph.graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append(node)
    assert len(nodes) < len(graph.graph.node)
    kept = [output for output in graph.graph.output if output.name in DECODER_OUTPUTS]
    del graph.graph.node[:], graph.graph.output[:]
    graph.graph.node.extend(reversed(nodes))
    graph.graph.output.extend(kept)
    return ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(("images", "objects", "points", "masks", "count"), PROMPTS)
def test_answers_about_images_are_the_same_bit_for_bit(
    whole: ort.InferenceSession,
    alone: ort.InferenceSession,
    images: int,
    objects: int,
    points: int,
    masks: int,
    count: int,
) -> None:
    rng = np.random.default_rng(points)
    height, width = SIZE[0] // 16, SIZE[1] // 16

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32)

    inputs = {
        "image_embed": draw(images, 128, height, width),
        "high_res_feats_0": draw(images, 16, 4 * height, 4 * width),
        "high_res_feats_1": draw(images, 32, 2 * height, 2 * width),
        "point_coords": 40 + 20 * draw(objects, points, 2),
        "point_labels": rng.integers(-1, 4, (objects, points)).astype(np.float32),
        "mask_input": 10 * draw(masks, 1, 4 * height, 4 * width),
        "has_mask_input": np.full(masks, count, np.float32),
    }
    *found, scores, pointers = whole.run([*DECODER_OUTPUTS, *OBJECT_OUTPUTS], inputs)
    assert (scores.shape, pointers.shape) == ((objects, 1), (objects, 4, 128))
    for name, answer, wanted in zip(
        DECODER_OUTPUTS, found, alone.run(DECODER_OUTPUTS, inputs), strict=True
    ):
        np.testing.assert_array_equal(answer, wanted, name)
