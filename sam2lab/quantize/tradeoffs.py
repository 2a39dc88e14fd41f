"""Compare recipes with the float model by time, size and masks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm.auto import tqdm

from sam2lab.measure import accuracy, latency, latency_summaries
from sam2lab.measure.ground_truth import Sample
from sam2lab.quantize.calibration import IMAGE_COUNT, ImageSource
from sam2lab.quantize.model_parts import parts
from sam2lab.quantize.qdq import Calibrated, calibrate
from sam2lab.quantize.recipe import Recipe
from sam2lab.quantize.sensitivity import ALL, Judge, of_images, spare
from sam2lab.runtime.bundle import GRAPHS, Bundle
from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.engines.protocol import Engine
from sam2lab.scenes.scene import Scene

FLOAT = "float"
RUNS = 20


def recipes(
    bundle: Bundle, swept: pd.DataFrame | None = None, worst: Sequence[int] = (1, 3)
) -> dict[str, Recipe]:
    """Recipes worth comparing, by name. Each differs from the usual one in what its name says.

    With the table of a `sweep`, some more keep its worst parts in float: as many as `worst` lists.
    """
    usual = Recipe()
    kept = usual.keep_float
    attention = [
        part for part in parts(bundle) if part.startswith("encoder") and part.endswith(".attention")
    ]
    chosen = {
        "usual": usual,
        "min-max": replace(usual, calibration="min-max"),
        "percentile": replace(usual, calibration="percentile"),
        "mse": replace(usual, calibration="mse"),
        "entropy": replace(usual, calibration="entropy"),
        "smoothed": replace(usual, smoothing=0.5),
        "attention in float": replace(usual, keep_float=(*kept, *attention)),
        "neck in float": replace(usual, keep_float=(*kept, "encoder.neck")),
        "whole encoder": replace(
            usual, keep_float=tuple(part for part in kept if not part.startswith("encoder"))
        ),
        "everything": ALL,
    }
    if swept is not None:
        inside = swept[[usual.quantises(part) for part in swept["part"]]]
        chosen |= {f"{n} worst in float": spare(inside, n, usual) for n in worst}
    # One of the methods is the usual one already, and needs no second name.
    return {name: one for name, one in chosen.items() if name == "usual" or one != usual}


def pareto(
    bundle: Bundle,
    recipes: Mapping[str, Recipe],
    images: ImageSource = None,
    count: int = IMAGE_COUNT,
    judge: Judge | None = None,
    ground_truth: Iterable[Sample | Scene] | None = None,
    runs: int = RUNS,
) -> pd.DataFrame:
    """Write a bundle by each recipe, time all of them in turn, and compare their masks.

    There is a row for each recipe and one for the float model. The memory stays in float, because
    images say nothing about it. Columns: `recipe`; `encoder_mb` and
    `size_mb` of both graphs (10^6 bytes); `size_ratio`, `encode_ratio` with its 95 % interval
    `encode_low` to `encode_high`, and `time_ratio` (encoding and a click; paired, see
    `measure.latency_ratios`), all as multiples of the float model's; `iou`, `iou_p5` and `sqnr_db`,
    see `Damage`; `jaccard`, the mean IoU with the truth, if `ground_truth` is given (see
    `measure.evaluate`); and `best`, true if no other is as good in time, size and iou, and better
    in one. Each is timed `runs` times.
    """
    if not recipes:
        raise ValueError("recipes is empty; wanted some by their names, as recipes(bundle) gives")
    if FLOAT in recipes:
        raise ValueError(f"recipes has one named {FLOAT!r}, which is the name of the model itself")
    everything = parts(bundle)
    recipes = {name: of_images(recipe, everything) for name, recipe in recipes.items()}
    exact = OnnxEngine(bundle)
    judge = judge or Judge(exact, images)
    engines: dict[str, Engine] = {FLOAT: exact}
    rows: list[dict[str, Any]] = [
        {"recipe": FLOAT, **_sizes(bundle), **judge.damage(exact)._asdict()}
    ]
    with tempfile.TemporaryDirectory() as scratch:
        calibrated = _calibrated(bundle, recipes.values(), images, count)
        for number, (name, recipe) in enumerate(tqdm(recipes.items(), desc="recipes", leave=False)):
            written = calibrated[recipe.smoothing].write(recipe, Path(scratch) / str(number))
            engines[name] = OnnxEngine(written)
            damage = judge.damage(engines[name])._asdict()
            rows.append({"recipe": name, **_sizes(written), **damage})
        table = pd.DataFrame(rows)
        photo = np.zeros((*bundle.info.input_size, 3), np.uint8)
        times = latency.time_engines(engines, photo, runs=runs)
        if ground_truth is not None:
            answers = accuracy.evaluate(engines, ground_truth, ("clicks", "box"), clicks=1)
            jaccard = answers.table.groupby("engine")["iou"].mean()
            table["jaccard"] = table["recipe"].map(jaccard)
    table["size_ratio"] = table["size_mb"] / table["size_mb"][0]
    encode = latency_summaries.latency_ratios(times, FLOAT, "encode_ms").set_index("series")
    total = latency_summaries.latency_ratios(times, FLOAT).set_index("series")
    for column, ratio in {
        "encode_ratio": encode["ratio"],
        "encode_low": encode["ratio_low"],
        "encode_high": encode["ratio_high"],
        "time_ratio": total["ratio"],
    }.items():
        table[column] = table["recipe"].map(ratio).where(table["recipe"] != FLOAT, 1.0)
    table["best"] = undominated(table[["time_ratio", "size_mb"]].assign(lost=1 - table["iou"]))
    table.attrs = times.attrs
    return table


def undominated(costs: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Which rows (N, K) of costs are Pareto-optimal: no other is as low in all and lower in one.

    >>> undominated([[1, 5], [2, 2], [3, 3], [2, 2]]).tolist()
    [True, True, False, True]
    """
    rows = np.asarray(costs, np.float64)
    no_worse = np.all(rows[None] <= rows[:, None], axis=2)
    better = np.any(rows[None] < rows[:, None], axis=2)
    return np.logical_not(np.any(no_worse & better, axis=1))


def _calibrated(
    bundle: Bundle, recipes: Iterable[Recipe], images: ImageSource, count: int
) -> dict[float | None, Calibrated]:
    """One calibration for each smoothing, of every part that a recipe with it quantises."""
    alike: dict[float | None, list[Recipe]] = {}
    for recipe in recipes:
        alike.setdefault(recipe.smoothing, []).append(recipe)
    everything = parts(bundle)
    found = {}
    for smoothing, group in alike.items():
        never = [part for part in everything if not any(one.quantises(part) for one in group)]
        widest = replace(group[0], keep_float=tuple(never))
        found[smoothing] = calibrate(bundle, widest, images, count)
    return found


def _sizes(bundle: Bundle) -> dict[str, float]:
    sizes = {name: bundle.graphs[name].bytes / 1e6 for name in GRAPHS}
    return {"encoder_mb": sizes["encoder"], "size_mb": sum(sizes.values())}
