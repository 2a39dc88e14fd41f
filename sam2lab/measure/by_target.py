"""Compare the files that one model became for several targets: masks, bytes, and time here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from sam2lab.measure import devices, latency, latency_summaries
from sam2lab.measure.agreement import agreement
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.litert import LiteRtEngine
from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.engines.protocol import (
    Decoded,
    Engine,
    Features,
    Float32,
    ModelInfo,
    PromptBatch,
)
from sam2lab.runtime.images import RGB

# The published runtime that files for a target are for.
PUBLISHED = {"onnx": "ONNX", "litert": "TFLITE", "qnn": "QNN_DLC"}


def compare_targets(
    reference: Engine, bundles: Iterable[Bundle], photos: Sequence[RGB], runs: int = 15
) -> pd.DataFrame:
    """One row for each bundle of a model; `reference` is the model itself.

    Columns: `target`, `precision`, `megabytes` of encoder and decoder; `photos`, `masks`,
    `mean_iou` and `least_iou` of `agreement`; `ratio`, the time of an encode on one thread as a
    multiple of the first bundle's, with its 95 % interval `ratio_low` to `ratio_high`, by `runs` in
    turn, and `encode_ms`; and of SAM 2.1 tiny on real chips, as published, the `published_ms` of an
    encode: median, lowest and highest, and the number of `chipsets`.

    What nothing runs here has the agreement that was kept when it was made, and no time.
    """
    rows, engines = [], {}
    reference = _Remembering(reference)
    for bundle in tqdm(list(bundles), desc="agreement"):
        target, precision = bundle.target, bundle.info.precision
        engine = _engine(bundle)
        if engine is None:
            kept = (bundle.agreement or {})[precision]
        else:
            engines[f"{target} {precision}"] = engine
            kept = vars(agreement(reference, engine, photos))
        size = sum(bundle.graphs[name].bytes for name in ("encoder", "decoder")) / 1e6
        rows.append({"target": target, "precision": precision, "megabytes": size, **kept})
    table = pd.DataFrame(rows)
    table = table.join(_times(engines, photos[0], runs), on=["target", "precision"])
    published = [_published(*row) for row in table[["target", "precision"]].to_numpy()]
    return table.join(pd.DataFrame(published))


class _Remembering:
    """An engine that is asked the same for every bundle, and computes it once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[tuple[bytes | None, ...], Any] = {}

    @property
    def info(self) -> ModelInfo:
        return self._engine.info

    @property
    def key(self) -> str:
        return self._engine.key

    def encode(self, pixels: Float32) -> Features:
        key = (_digest(pixels),)
        if key not in self._known:
            self._known[key] = self._engine.encode(pixels)
        found: Features = self._known[key]
        return found

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        arrays = features.image_embed, *vars(prompts).values()
        key = tuple(None if array is None else _digest(array) for array in arrays)
        if key not in self._known:
            self._known[key] = self._engine.decode(features, prompts)
        found: Decoded = self._known[key]
        return found


def _digest(array: Float32) -> bytes:
    return hashlib.sha256(array.tobytes()).digest()


def _engine(bundle: Bundle) -> Engine | None:
    """What runs a bundle here, on one thread."""
    if bundle.kind == "onnx":
        return OnnxEngine(bundle, threads=1)
    return LiteRtEngine(bundle, threads=1) if bundle.kind == "tflite" else None


def _times(engines: dict[str, Engine], photo: RGB, runs: int) -> pd.DataFrame:
    table = latency.time_engines(engines, photo, runs=runs)
    times = latency_summaries.summarise_latency(table, "encode_ms").set_index("series")
    ratios = latency_summaries.latency_ratios(table, column="encode_ms")
    ratios = ratios.reindex(columns=["series", "ratio", "ratio_low", "ratio_high"])
    found = ratios.set_index("series").reindex(list(engines))
    found.iloc[0] = 1.0
    found["encode_ms"] = times["median_ms"]
    names = [name.split(" ") for name in engines]
    found.index = pd.MultiIndex.from_tuples(names, names=["target", "precision"])
    return found


def _published(target: str, precision: str) -> dict[str, Any]:
    rows = devices.published()
    rows = rows[
        (rows["model"] == "SAM2Encoder")
        & (rows["runtime"] == PUBLISHED[target])
        & (rows["precision"] == precision)
    ]
    times = rows["inference_ms"]
    return {
        "published_ms": times.median(),
        "published_low_ms": times.min(),
        "published_high_ms": times.max(),
        "chipsets": len(rows),
    }
