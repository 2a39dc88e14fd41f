"""Published figures of SAM 2 on devices, and this machine beside them."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from sam2lab import settings
from sam2lab.measure import checked_csv as field

MODELS = ("SAM2Encoder", "SAM2Decoder")
RUNTIMES = ("ONNX", "QNN_DLC", "TFLITE")
PRECISIONS = ("float", "w8a8")
UNITS = ("NPU", "GPU", "CPU")

ALL = "all"


def published(file: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Qualcomm's figures for SAM 2.1 tiny, one row per part, runtime, precision and chipset.

    `inference_ms` is one run's time, `peak_mb_min` and `peak_mb_max` are the ends of the
    published range of peak memory; data/README.md says where they come from and what to know
    before comparing. A row that is not right is refused with its line number.

    >>> table = published()
    >>> len(table), table["chipset"].nunique()
    (106, 14)
    """
    fields = {
        "model": field.one_of(MODELS),
        "runtime": field.one_of(RUNTIMES),
        "precision": field.one_of(PRECISIONS),
        "chipset": field.name,
        "inference_ms": field.milliseconds,
        "peak_mb_min": field.megabytes,
        "peak_mb_max": field.megabytes,
        "primary_compute_unit": field.one_of(UNITS),
    }
    path = Path(file or settings.data_folder() / "qualcomm_ai_hub_sam2.csv")
    identity = ("model", "runtime", "precision", "chipset")
    return field.read(path, fields, identity, ("peak_mb_min", "peak_mb_max"))


def paper(file: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """What the paper measured on a laptop and in a cloud, `ms_min` to `ms_max` milliseconds.

    >>> paper().query("part == 'encoder'")["ms_min"].tolist()
    [240.0]
    """
    fields = {
        "place": field.one_of(("local", "cloud")),
        "device": field.name,
        "phase": field.name,
        "part": field.one_of(("encoder", "decoder", "run")),
        "ms_min": field.milliseconds,
        "ms_max": field.milliseconds,
        "approximate": field.one_of(("yes", "no")),
    }
    path = Path(file or settings.data_folder() / "paper_figures.csv")
    return field.read(path, fields, ("place", "device", "phase", "part"), ("ms_min", "ms_max"))


def select(
    table: pd.DataFrame,
    model: str = ALL,
    runtime: str = ALL,
    precision: str = ALL,
    sort_by: str = "inference_ms",
    descending: bool = False,
) -> pd.DataFrame:
    """The rows with these values, sorted; `"all"` leaves a column open.

    >>> select(published(), "SAM2Encoder", precision="w8a8")["inference_ms"].iloc[0].item()
    39.36
    """
    if sort_by not in table:
        raise ValueError(f"sort_by is {sort_by!r}; wanted one of {', '.join(table.columns)}")
    chosen = table
    for column, value in (("model", model), ("runtime", runtime), ("precision", precision)):
        known = [ALL, *table[column].unique()]
        if value not in known:
            raise ValueError(f"{column} is {value!r}; wanted one of {', '.join(known)}")
        if value != ALL:
            chosen = chosen[chosen[column] == value]
    return chosen.sort_values(sort_by, ascending=not descending, kind="stable", ignore_index=True)
