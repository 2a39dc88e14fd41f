"""Say what compiling an encoder for a chip gave, and how far masks agree where the chip encodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from sam2lab.measure.agreement import agreement
from sam2lab.qnn.engines import QnnEmulator
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.protocol import (
    Decoded,
    Engine,
    Features,
    Float32,
    ModelInfo,
    PromptBatch,
)
from sam2lab.runtime.images import RGB


@dataclass(frozen=True)
class Halves:
    """An engine that encodes with one engine and decodes with another."""

    encoder: Engine
    decoder: Engine

    @property
    def info(self) -> ModelInfo:
        """The encoder's model."""
        return self.encoder.info

    @property
    def key(self) -> str:
        """Names both."""
        return f"{self.encoder.key}, {self.decoder.key}"

    def encode(self, pixels: Float32) -> Features:
        """What the one engine gives."""
        return self.encoder.encode(pixels)

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        """What the other engine gives."""
        return self.decoder.decode(features, prompts)


def compiled(
    reference: Engine, bundles: Iterable[Bundle], photos: Sequence[RGB] = ()
) -> pd.DataFrame:
    """One row for the encoder of each bundle for NPUs; `reference` is the model itself.

    Columns: `precision`; `on_qnn` and `on_cpu`, nodes; `megabytes`, the file's; `seconds` of one
    core and `peak_mb` of compiling. With photos, Qualcomm's emulator is asked for their features,
    which takes it a minute a photo: `masks`, `mean_iou` and `least_iou` of `agreement`. The
    reference decodes, so that what is lost is the encoder's.
    """
    rows = []
    for bundle in bundles:
        report = (bundle.recipe or {})["compiled"]["encoder"]
        row = {
            "precision": bundle.info.precision,
            "on_qnn": report["on_qnn"],
            "on_cpu": sum(report["on_cpu"].values()),
            "megabytes": report["bytes"] / 1e6,
            "seconds": report["seconds"],
            "peak_mb": report["peak_mb"],
        }
        if photos:
            with QnnEmulator(bundle) as emulator:
                found = vars(agreement(reference, Halves(emulator, reference), photos))
            row |= {name: found[name] for name in ("masks", "mean_iou", "least_iou")}
        rows.append(row)
    return pd.DataFrame(rows)
