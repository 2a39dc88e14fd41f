"""Export models with random weights, and run their graphs as a foreign client would."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
import onnxslim
import pytest
import torch

from sam2lab.export.onnx import export
from sam2lab.reference import memory as sam2_memory
from sam2lab.reference import zoo
from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.protocol import Features

Arrays = tuple[np.ndarray, ...]

# Each of nano's eight blocks has queries, keys, values, their projection and two layers of the MLP,
# the three that begin a stage widen the shortcut, and two outputs are projected.
LINEAR_LAYERS = 8 * 6 + 3 + 2
# Six of nano's blocks attend within windows, all heads at once, and two head by head, with four.
ATTENTIONS = 6 + 2 * 4


def arrays_of(features: Features) -> Arrays:
    return features.image_embed, features.high_res_feats_0, features.high_res_feats_1


@dataclass
class Exported:
    """A model, its bundle, and both graphs as a foreign client would run them."""

    model: ZooModel
    bundle: Bundle
    encoder: ort.InferenceSession
    decoder: ort.InferenceSession

    def encode(self, pixels: np.ndarray) -> Arrays:
        return tuple(self.encoder.run(None, {"image": pixels}))

    def decode(
        self,
        features: Arrays,
        coords: np.ndarray,
        labels: np.ndarray,
        mask: np.ndarray | None = None,
        has_mask: np.ndarray | None = None,
    ) -> Arrays:
        """All four tokens' logits and scores."""
        if mask is None:
            mask = np.zeros((1, 1, *self.model.info.mask_size), np.float32)
            has_mask = np.zeros(1, np.float32)
        masks, scores, single_mask, single_score = self.decoder.run(
            ["masks", "iou_predictions", "single_mask", "single_iou"],
            {
                "image_embed": features[2],
                "high_res_feats_0": features[0],
                "high_res_feats_1": features[1],
                "point_coords": coords,
                "point_labels": labels,
                "mask_input": mask,
                "has_mask_input": np.ones(1, np.float32) if has_mask is None else has_mask,
            },
        )
        return (
            np.concatenate([single_mask, masks], axis=1),
            np.concatenate([single_score, scores], axis=1),
        )

    def pixels(self, batch: int = 1) -> np.ndarray:
        """Random pixels, as bright as those of normalised photos."""
        rng = np.random.default_rng(batch)
        return rng.standard_normal((batch, 3, *self.model.info.input_size)).astype(np.float32)


Export = Callable[..., Exported]


@contextmanager
def without_memory() -> Iterator[None]:
    """Leave out the graphs of the memory, half of an export's time, where photos are all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sam2_memory, "settings", lambda *_, **__: None)
        yield


@contextmanager
def unsimplified() -> Iterator[None]:
    """Leave graphs as they were traced, which takes a third of the time, where all else counts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnxslim, "slim", lambda traced, **_: copy.deepcopy(traced))
        yield


def export_anew(
    folder: Path,
    size: str,
    input_size: tuple[int, int] | None = None,
    precision: str = "float",
    memory: bool = True,
) -> Exported:
    """Export a size with random weights."""
    model = zoo.load(size, weights="random", input_size=input_size)
    with nullcontext() if memory else without_memory():
        bundle = export(model, folder, precision=precision)
    sessions = [
        ort.InferenceSession(bundle.path(graph), providers=["CPUExecutionProvider"])
        for graph in ("encoder", "decoder")
    ]
    return Exported(model, bundle, *sessions)


def double_precision(size: str, input_size: tuple[int, int]) -> torch.nn.Module:
    """A model of random weights whose arithmetic is float64, where only wiring can differ."""
    module = copy.deepcopy(zoo.load(size, weights="random", input_size=input_size).module)
    module = module.double().eval()
    # Upstream rounds coordinates to float32; those that are asked for here lose nothing by it.
    positions = module.sam_prompt_encoder.pe_layer
    encode = positions._pe_encoding
    positions._pe_encoding = lambda coords: encode(coords.double())
    return module
