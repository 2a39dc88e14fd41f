"""Ask a device about photos, and compare its masks with those that are computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sam2lab.hub.sources import KINDS, Arrays, Source
from sam2lab.measure.cases import draw_cases
from sam2lab.measure.parity import compare_masks
from sam2lab.measure.workload import prepare
from sam2lab.runtime import images
from sam2lab.runtime import prompts as prompting
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.embedding import content_key
from sam2lab.runtime.engines.protocol import (
    Decoded,
    Engine,
    Features,
    Float32,
    ModelInfo,
    PromptBatch,
)
from sam2lab.runtime.engines.table import open_files


def encoder_samples(source: Source, photos: Sequence[images.RGB]) -> list[Arrays]:
    """What the encoder is asked: one sample a photo."""
    return [source.encoder_inputs(prepare(photo, source.info)) for photo in photos]


def decoder_samples(
    source: Source, photos: Sequence[images.RGB], encoded: Sequence[Arrays]
) -> list[Arrays]:
    """What the decoder is asked, on the features that the device's encoder gave."""
    return [
        source.decoder_inputs(source.features(encoded[photo]), prompt)
        for photo, prompt in _prompts(source.info, photos)
    ]


def reference(bundle: Bundle) -> Engine | None:
    """What computes a bundle's masks here; None where nothing does.

    .tflite files are run as they are. Nothing here runs a .dlc file, so that the model in torch
    answers, if it is one of ours with these weights.
    """
    engine = open_files(bundle)
    if engine is not None:
        return engine
    # Imported here, because the others need no torch.
    from sam2lab.reference import zoo
    from sam2lab.reference.engine import TorchEngine

    info = bundle.info
    weights = "random" if info.has_random_weights else "auto"
    model = zoo.load(info.size, weights, info.version, input_size=info.input_size)
    return TorchEngine(model) if model.info.weights == info.weights else None


def compare(
    source: Source,
    ours: Engine,
    photos: Sequence[images.RGB],
    encoded: Sequence[Arrays],
    decoded: Sequence[Arrays],
) -> pd.DataFrame:
    """The table of `measure.compare_masks`: our engine's masks, and those of the device.

    `encoded` and `decoded` are the device's outputs for the samples of the two functions above.
    """
    features = [source.features(outputs) for outputs in encoded]
    device = Recorded(
        source.info,
        _key(*(each.image_embed for each in features)),
        {
            _key(prepare(photo, source.info)): given
            for photo, given in zip(photos, features, strict=True)
        },
        {
            _key(features[photo].image_embed, prompt.point_coords): source.decoded(outputs)
            for (photo, prompt), outputs in zip(_prompts(source.info, photos), decoded, strict=True)
        },
    )
    return compare_masks(ours, device, list(photos), KINDS)


@dataclass(frozen=True)
class Recorded:
    """An engine that knows its answers from a record, by the digests of what is asked."""

    info: ModelInfo
    key: str
    encoded: Mapping[str, Features]
    answered: Mapping[str, Decoded]

    def encode(self, pixels: Float32) -> Features:
        """The features that were recorded for these photos."""
        found = [vars(self.encoded[_key(each[None])]) for each in pixels]
        return Features(**{name: np.concatenate([f[name] for f in found]) for name in found[0]})

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        """The answer that was recorded for this prompt."""
        return self.answered[_key(features.image_embed, prompts.point_coords)]


def _prompts(info: ModelInfo, photos: Sequence[images.RGB]) -> list[tuple[int, PromptBatch]]:
    """Each photo's number with a prompt, the same ones that `compare_masks` draws."""
    return [
        (
            case.image,
            prompting.encode(photos[case.image].shape[:2], info, **case.prompt),
        )
        for case in draw_cases(photos, KINDS)
    ]


def _key(*arrays: Float32) -> str:
    return " ".join(map(content_key, arrays))
