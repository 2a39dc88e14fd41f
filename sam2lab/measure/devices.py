"""Published figures of SAM 2 on devices, and this machine beside them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from sam2lab import settings
from sam2lab.measure import latency, latency_summaries, machine
from sam2lab.measure.published_csv import Column, read_published_csv
from sam2lab.measure.workload import Workload
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.engines.onnx import CPU, ProviderReport
from sam2lab.runtime.engines.protocol import Engine, ModelInfo

PARTS = {"SAM2Encoder": "encode", "SAM2Decoder": "decode"}
MODELS = tuple(PARTS)
RUNTIMES = ("ONNX", "QNN_DLC", "TFLITE")
PRECISIONS = ("float", "w8a8")
UNITS = ("NPU", "GPU", "CPU")

# The unit that does the work, by a word in the name of onnxruntime's provider or of torch's device.
# Those that choose among several units, such as OpenVINO and CoreML, are left out.
KINDS = {
    "CPU": ("CPU", "cpu", "Dnnl", "XNNPACK"),
    "GPU": ("CUDA", "cuda", "TensorRT", "Tensorrt", "Dml", "ROCM", "MIGraphX", "mps"),
    "NPU": ("QNN", "VitisAI", "CANN"),
}

ALL = "all"

# The published decoder is given two points.
POINTS = 2


def published(file: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Qualcomm's figures for SAM 2.1 tiny, one row per part, runtime, precision and chipset.

    `inference_ms` is one run's time, `peak_mb_min` and `peak_mb_max` are the ends of the
    published range of peak memory; data/README.md says where they come from and what to know
    before comparing. A broken row is refused with its line number.

    >>> table = published()
    >>> len(table), table["chipset"].nunique()
    (106, 14)
    """
    columns: dict[str, Column] = {
        "model": MODELS,
        "runtime": RUNTIMES,
        "precision": PRECISIONS,
        "chipset": "text",
        "inference_ms": "ms",
        "peak_mb_min": "mb",
        "peak_mb_max": "mb",
        "primary_compute_unit": UNITS,
    }
    path = Path(file or settings.data_folder() / "qualcomm_ai_hub_sam2.csv")
    identity = ["model", "runtime", "precision", "chipset"]
    return read_published_csv(path, columns, identity, ("peak_mb_min", "peak_mb_max"))


def paper(file: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """The paper's times on a laptop and in a cloud, `ms_min` to `ms_max` milliseconds.

    >>> paper().query("part == 'encoder'")["ms_min"].tolist()
    [240.0]
    """
    columns: dict[str, Column] = {
        "place": ("local", "cloud"),
        "device": "text",
        "phase": "text",
        "part": ("encoder", "decoder", "run"),
        "ms_min": "ms",
        "ms_max": "ms",
        "approximate": ("yes", "no"),
    }
    path = Path(file or settings.data_folder() / "paper_figures.csv")
    return read_published_csv(
        path, columns, ["place", "device", "phase", "part"], ("ms_min", "ms_max")
    )


def this_machine(
    engines: Mapping[str, Engine], peaks: pd.DataFrame, runs: int | None = None, seed: int = 0
) -> pd.DataFrame:
    """Rows of the published form for this machine: encoder and decoder of each engine.

    All engines take one input size, and their runs are interleaved: `runs` rounds, 10 under the
    ci budget and else 30, without the first and what else is found to be warm-up. Only the
    graphs are timed, with two points, without photo and masks. `peaks` is a table of
    `fresh.peak_memory` with series of the same names. The range of memory is that of its
    repeats, above a process that has only loaded the libraries; both parts are open in it.

    The published columns come first, `inference_ms` being a median. Further columns:
    `low_ms` and `high_ms`, its 95 % interval; `runs`, the number that count; `provider`, which
    took most of the graph; `nodes` and `fallback_nodes` as in `placement`; and `measured`, the
    model.
    """
    size = _common_size(engines)
    peaks_mb = {name: _above_libraries(peaks, name) for name in engines}
    if runs is None:
        runs = 10 if settings.budget() == "ci" else 30
    # The first does not count.
    runs = whole("runs", runs, least=2)
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    workload = Workload.with_points(noise, POINTS)
    asked = {name: latency.Series(engine, workload) for name, engine in engines.items()}
    table = latency.time_in_turn(asked, runs, seed)
    steady = table[table["phase"] == "steady"]
    if set(steady["series"]) != set(engines):
        raise ValueError("interrupted before every engine had a run that counts; measure again")
    chipset = machine.fingerprint()["cpu"]
    rows = []
    for model, part in PARTS.items():
        times = latency_summaries.summarise_latency(steady, f"{part}_ms").set_index("series")
        for name, engine in engines.items():
            time, peak_mb = times.loc[name], peaks_mb[name][part]
            provider, nodes, fallback = placement(engine, f"{part}r")
            rows.append(
                {
                    "model": model,
                    "runtime": engine.key.partition(":")[0].upper(),
                    "precision": engine.info.precision,
                    "chipset": chipset,
                    "inference_ms": time["median_ms"],
                    "peak_mb_min": round(peak_mb.min()),
                    "peak_mb_max": round(peak_mb.max()),
                    "primary_compute_unit": compute_unit(provider),
                    "low_ms": time["median_low_ms"],
                    "high_ms": time["median_high_ms"],
                    "runs": int(time["runs"] - time["warm_up_runs"]),
                    "provider": provider,
                    "nodes": nodes,
                    "fallback_nodes": fallback,
                    "measured": _model(engine.info),
                }
            )
    here = pd.DataFrame(rows).astype({"nodes": "Int64", "fallback_nodes": "Int64"})
    here.attrs = table.attrs
    return here


def placement(engine: Engine, graph: str) -> tuple[str, int | None, int | None]:
    """The provider of most of a graph, "encoder" or "decoder"; its nodes, and those that fell back.

    A node fell back if the CPU runs it though another provider was asked first. Numbers are None
    for an engine without a graph, which runs on its device as a whole.
    """
    report: ProviderReport | None = getattr(engine, "report", None)
    if report is None:
        return str(getattr(engine, "device", "unknown")), None, None
    taken = report.nodes[graph]
    most = max(taken, key=lambda provider: taken[provider])
    fallback = 0 if report.asked[0] == CPU else taken.get(CPU, 0)
    return most, sum(taken.values()), fallback


def compute_unit(provider: str) -> str:
    """The kind of unit behind an onnxruntime provider or a torch device.

    >>> [compute_unit(name) for name in ("CPUExecutionProvider", "cuda:0", "CoreML")]
    ['CPU', 'GPU', 'unknown']
    """
    units = [unit for unit, words in KINDS.items() if any(word in provider for word in words)]
    return units[0] if units else "unknown"


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


def _common_size(engines: Mapping[str, Engine]) -> tuple[int, int]:
    sizes = {name: engine.info.input_size for name, engine in engines.items()}
    if len(set(sizes.values())) != 1:
        raise ValueError(
            f"engines have input sizes {sizes}; wanted one size (height, width) for at least one "
            "engine: open them all with the same input_size"
        )
    return next(iter(sizes.values()))


def _above_libraries(peaks: pd.DataFrame, series: str) -> pd.DataFrame:
    """The peaks of both parts in MB, repeat by repeat, above those of the libraries alone."""
    own = peaks[peaks["series"] == series].pivot(index="run", columns="phase", values="peak_mb")
    own = own.reindex(columns=["import", *PARTS.values()]).dropna()
    if own.empty:
        raise ValueError(
            f"peaks has no finished repeat of a series {series!r}; measure it with "
            "fresh.peak_memory under the names of engines"
        )
    return own.sub(own["import"], axis="index")


def _model(info: ModelInfo) -> str:
    weights = "random weights: for time only" if info.has_random_weights else "trained weights"
    return f"{info.size} at {info.input_size[0]}x{info.input_size[1]}, {weights}"
