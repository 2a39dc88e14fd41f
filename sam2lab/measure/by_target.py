"""Compare the files that one model became for several targets: masks, bytes, and time here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from sam2lab.measure import devices, latency, latency_summaries
from sam2lab.measure.agreement import agreement
from sam2lab.measure.remembering import Remembering
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.protocol import Engine
from sam2lab.runtime.engines.table import open_files
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
    reference = Remembering(reference)
    for bundle in tqdm(list(bundles), desc="agreement"):
        target, precision = bundle.target, bundle.info.precision
        engine = open_files(bundle, threads=1)
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


def _times(engines: dict[str, Engine], photo: RGB, runs: int) -> pd.DataFrame:
    columns = ["ratio", "ratio_low", "ratio_high", "encode_ms"]
    if not engines:
        index = pd.MultiIndex.from_arrays([[], []], names=["target", "precision"])
        return pd.DataFrame(columns=columns, index=index, dtype=float)
    table = latency.time_engines(engines, photo, runs=runs)
    times = latency_summaries.summarise_latency(table, "encode_ms").set_index("series")
    ratios = latency_summaries.latency_ratios(table, column="encode_ms")
    ratios = ratios.reindex(columns=["series", *columns[:-1]])
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
