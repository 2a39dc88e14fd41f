"""samexporter's own inference class, whose files desktop tools use, loads ours as if its own.

It shrinks photos with OpenCV, which is not SAM 2's way, so the photo given here has the model's
input size: then nothing is resized on the way in, and everything after that must agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sam2lab.reference.engine import TorchEngine
from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime.engines.protocol import PromptBatch
from sam2lab.runtime.segmenter import ImageEmbedding, Segmenter

WANTED = "samexporter is not here: pip install --no-deps samexporter==0.5.0 (it also takes OpenCV)"
client_module = pytest.importorskip("samexporter.sam2_onnx", reason=WANTED)

Image = npt.NDArray[np.uint8]
Overlap = Callable[[npt.NDArray[np.bool_], npt.NDArray[np.bool_]], float]

POSITIVE = {"type": "point", "data": [200, 220], "label": 1}
NEGATIVE = {"type": "point", "data": [330, 90], "label": 0}
BOX = {"type": "rectangle", "data": [120, 130, 300, 310]}


@pytest.fixture(scope="module")
def client(nano_bundle: Path) -> Any:
    return client_module.SegmentAnything2ONNX(
        str(nano_bundle / "encoder.onnx"), str(nano_bundle / "decoder.onnx"), providers="cpu"
    )


@pytest.fixture(scope="module")
def segmenter(original: ZooModel) -> Segmenter:
    return Segmenter(TorchEngine(original))


@pytest.fixture(scope="module")
def image(original: ZooModel, take_photo: Callable[[int, int], Image]) -> Image:
    return take_photo(*original.info.input_size)


@pytest.fixture(scope="module")
def their_embedding(client: Any, image: Image) -> dict[str, Any]:
    return client.encode(image[..., ::-1].copy())  # OpenCV's colour order


@pytest.fixture(scope="module")
def our_embedding(segmenter: Segmenter, image: Image) -> ImageEmbedding:
    return segmenter.embed_images(image)[0]


def test_its_features_are_ours(
    their_embedding: dict[str, Any], our_embedding: ImageEmbedding
) -> None:
    names = {
        "image_embedding": "image_embed",
        "high_res_feats_0": "high_res_feats_0",
        "high_res_feats_1": "high_res_feats_1",
    }
    for theirs, ours in names.items():
        # What an export may differ from PyTorch by, in shares of the tensor's spread.
        expected = getattr(our_embedding.features, ours)
        np.testing.assert_allclose(their_embedding[theirs], expected, atol=1e-4 * expected.std())


@pytest.mark.parametrize("size", [(512, 512), (300, 470)], ids=["square", "another shape"])
@pytest.mark.parametrize(
    ("marks", "ours"),
    [
        ([POSITIVE], {"point_coordinates": [[200, 220]], "point_labels": [1]}),
        (
            [POSITIVE, NEGATIVE],
            {"point_coordinates": [[200, 220], [330, 90]], "point_labels": [1, 0]},
        ),
        ([BOX], {"boxes": [120, 130, 300, 310]}),
        (
            [BOX, POSITIVE],
            {
                "boxes": [120, 130, 300, 310],
                "point_coordinates": [[200, 220]],
                "point_labels": [1],
            },
        ),
    ],
    ids=["point", "point and negative", "box", "box and point"],
)
def test_its_mask_is_our_best_mask(
    client: Any,
    segmenter: Segmenter,
    their_embedding: dict[str, Any],
    our_embedding: ImageEmbedding,
    overlap: Overlap,
    marks: list[dict[str, Any]],
    ours: dict[str, Any],
    size: tuple[int, int],
) -> None:
    """Features pretend to come from a photo of `size`, so that both scale prompts and masks."""
    theirs = client.predict_masks({**their_embedding, "original_size": size}, marks)

    (expected,) = segmenter.segment_images(
        embeddings=replace(our_embedding, image_size=size), **ours
    )
    assert overlap(theirs[0, 0] > 0, np.asarray(expected.best)) >= 0.999


def test_its_decoder_pads_ragged_prompts_of_two_objects(
    client: Any,
    segmenter: Segmenter,
    their_embedding: dict[str, Any],
    our_embedding: ImageEmbedding,
    overlap: Overlap,
) -> None:
    """Two clicks on one object, a box and a click on another: L = 2, `has_mask_input` of [2]."""
    client.decoder.set_image_size((512, 512))
    feed = client.decoder.prepare_inputs(
        their_embedding["image_embedding"],
        their_embedding["high_res_feats_0"],
        their_embedding["high_res_feats_1"],
        [np.array([[200.0, 220], [330, 90]]), np.array([[120.0, 130], [300, 310], [200, 220]])],
        [np.array([1.0, 0]), np.array([2.0, 3, 1])],
    )
    assert feed[4].tolist() == [[1, 0, -1], [2, 3, 1]]
    assert feed[6].shape == (2,)
    theirs, their_scores, *_ = client.decoder.infer(feed)

    ours = segmenter.engine.decode(our_embedding.features, PromptBatch(feed[3], feed[4]))
    assert overlap(theirs > 0, ours.logits[:, 1:] > 0) >= 0.999
    np.testing.assert_allclose(their_scores, ours.scores[:, 1:], atol=1e-4)
