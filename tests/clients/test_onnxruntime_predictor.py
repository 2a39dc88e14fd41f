"""onnxruntime's own SAM 2 predictor loads our files and, through a map of names, gives our masks.

Its own exporter names tensors otherwise, wants integer labels, and leaves two jobs to the graph
that SAM 2 leaves to the host: to choose one mask of four, and to enlarge it to the photo. Its
predictor knows no size but 1024 x 1024, so that is nano's size here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import torch
import torch.nn.functional as F

from sam2lab.export.onnx import export
from sam2lab.reference import zoo
from sam2lab.reference.engine import TorchEngine
from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime.predictor import ImagePredictor
from tests.exporting import without_memory

# Upstream's SAM2Transforms, which their predictor inherits.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

Image = npt.NDArray[np.uint8]
Overlap = Callable[[npt.NDArray[np.bool_], npt.NDArray[np.bool_]], float]

THEIR_NAMES = {
    "high_res_feats_0": "image_features_0",
    "high_res_feats_1": "image_features_1",
    "image_embed": "image_embeddings",
    "mask_input": "input_masks",
    "has_mask_input": "has_input_masks",
}
THEIR_FOLDER = Path(onnxruntime.__file__).parent / "transformers/models/sam2"


class RenamedEncoder:
    """Their session on our encoder, called by their names."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.ort_session = session.ort_session

    def allocate_buffers(self, shapes: dict[str, list[int]]) -> None:
        # They know the widths of Meta's models only; the graph knows its own.
        self.session.allocate_buffers(
            {
                output.name: [1, output.shape[1], *shapes[THEIR_NAMES[output.name]][2:]]
                for output in self.ort_session.get_outputs()
            }
        )

    def infer(self, feed: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        outputs = self.session.infer(feed)
        return {THEIR_NAMES[name]: outputs[name] for name in outputs}


class RenamedDecoder:
    """Their session on our decoder, called by their names, with the host's two jobs done."""

    def __init__(self, session: Any, original: torch.nn.Module, multimask: bool) -> None:
        self.session = session
        self.ort_session = session.ort_session
        self.original = original
        self.multimask = multimask

    def allocate_buffers(self, shapes: dict[str, list[int]]) -> None:
        objects, _, height, width = shapes["low_res_masks"]
        self.session.allocate_buffers(
            {
                "masks": [objects, 3, height, width],
                "iou_predictions": [objects, 3],
                "single_mask": [objects, 1, height, width],
                "single_iou": [objects, 1],
            }
        )

    def infer(self, feed: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        ours = {name: feed[THEIR_NAMES.get(name, name)] for name in self.session.input_names}
        ours["point_labels"] = ours["point_labels"].float()
        answer = self.session.infer(ours)
        logits, scores = answer["masks"], answer["iou_predictions"]
        if not self.multimask:
            logits, scores = self.original.sam_mask_decoder._dynamic_multimask_via_stability(
                torch.cat([answer["single_mask"], logits], dim=1),
                torch.cat([answer["single_iou"], scores], dim=1),
            )
        size = feed["original_image_size"].tolist()
        return {
            "masks": F.interpolate(logits, size, mode="bilinear", align_corners=False) > 0,
            "iou_predictions": scores,
            "low_res_masks": logits.clamp(-32, 32),
        }


@pytest.fixture(scope="module")
def original_1024(original: ZooModel) -> ZooModel:
    return zoo.resize(original, (1024, 1024))


@pytest.fixture(scope="module")
def image(take_photo: Callable[[int, int], Image]) -> Image:
    return take_photo(300, 470)


@pytest.fixture(scope="module")
def client(original_1024: ZooModel, image: Image, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(THEIR_FOLDER)  # its modules import each other by bare names
        module = importlib.import_module("sam2_image_onnx_predictor")
    with without_memory():
        folder = export(original_1024, tmp_path_factory.mktemp("clients") / "nano-1024").folder
    client = module.SAM2ImageOnnxPredictor(
        original_1024.module,
        str(folder / "encoder.onnx"),
        str(folder / "decoder.onnx"),
        str(folder / "decoder.onnx"),
        provider="CPUExecutionProvider",
        device="cpu",
    )
    client.encoder_session = RenamedEncoder(client.encoder_session)
    client.decoder_session = RenamedDecoder(client.decoder_session, original_1024.module, False)
    client.decoder_session_multi_out = RenamedDecoder(
        client.decoder_session_multi_out, original_1024.module, True
    )
    client.set_image(image)
    return client


@pytest.fixture(scope="module")
def predictor(original_1024: ZooModel, image: Image) -> ImagePredictor:
    predictor = ImagePredictor(TorchEngine(original_1024))
    predictor.set_image(image)
    return predictor


@pytest.mark.parametrize("multimask_output", [True, False], ids=["three masks", "one mask"])
@pytest.mark.parametrize(
    "prompts",
    [
        {"point_coords": [[200, 120]], "point_labels": [1]},
        {"point_coords": [[200, 120], [330, 90]], "point_labels": [1, 0]},
        {"box": [120, 60, 300, 210]},
        {"box": [120, 60, 300, 210], "point_coords": [[200, 120]], "point_labels": [1]},
        {"point_coords": [[[200, 120]], [[90, 60]]], "point_labels": [[1], [1]]},
        {"box": [[120, 60, 300, 210], [10, 20, 400, 250]]},
    ],
    ids=["point", "point and negative", "box", "box and point", "two points", "two boxes"],
)
def test_its_masks_are_ours(
    client: Any,
    predictor: ImagePredictor,
    overlap: Overlap,
    prompts: dict[str, Any],
    multimask_output: bool,
) -> None:
    arrays = {name: np.asarray(value, np.float32) for name, value in prompts.items()}

    theirs, their_scores, _ = client.predict(**arrays, multimask_output=multimask_output)

    ours, our_scores, _ = predictor.predict(**arrays, multimask_output=multimask_output)
    assert overlap(theirs > 0, ours > 0) >= 0.999
    # Scores lie between 0 and 1, and an export may differ from PyTorch by 1e-4.
    np.testing.assert_allclose(their_scores, our_scores, atol=1e-4)


def test_it_refines_its_own_answer_as_we_do(
    client: Any, predictor: ImagePredictor, overlap: Overlap
) -> None:
    point = {"point_coords": np.array([[200, 120]]), "point_labels": np.array([1])}
    _, scores, logits = client.predict(**point)
    best = logits[[np.argmax(scores)]]

    theirs, _, _ = client.predict(**point, mask_input=best, multimask_output=False)

    ours, _, _ = predictor.predict(**point, mask_input=best, multimask_output=False)
    assert overlap(theirs > 0, ours > 0) >= 0.999
