"""Find the parts of a model that suffer from 8 bits: quantise each alone and compare the masks."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from sam2lab.quantize.calibration import (
    IMAGE_COUNT,
    CalibrationSample,
    ImageSource,
    calibration_images,
    samples,
)
from sam2lab.quantize.model_parts import MEMORY, parts, within
from sam2lab.quantize.qdq import Calibrated, calibrate
from sam2lab.quantize.recipe import Recipe
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.engines.protocol import Decoded, Engine
from sam2lab.runtime.masks import iou

# This recipe quantises every part.
ALL = Recipe(keep_float=())


class Judge:
    """Keeps a float model's answers, and measures how far another engine's are from them.

    It asks about `count` images (see `calibration_images`), with a prompt of each kind.
    """

    def __init__(self, engine: Engine, images: ImageSource = None, count: int = 4) -> None:
        self._asked: list[tuple[CalibrationSample, list[Decoded]]] = [
            (sample, [engine.decode(sample.features, prompt) for prompt in sample.prompts])
            for sample in samples(calibration_images(images, count), engine)
        ]

    def damage(self, engine: Engine) -> Damage:
        """Compare an engine's answers with the float model's."""
        ious: list[float] = []
        signal = noise = 0.0
        for sample, answers in self._asked:
            features = engine.encode(sample.pixels)
            for prompt, wanted in zip(sample.prompts, answers, strict=True):
                found = engine.decode(features, prompt)
                signal += float((wanted.logits**2).sum())
                noise += float(((wanted.logits - found.logits) ** 2).sum())
                ious += map(iou, wanted.logits[0] > 0, found.logits[0] > 0)
        sqnr = 10 * np.log10(signal / noise) if noise else np.inf
        return Damage(float(np.mean(ious)), float(np.quantile(ious, 0.05)), float(sqnr))


class Damage(NamedTuple):
    """How far answers are from the float model's.

    `iou` is the mean over images, prompts of every kind and all four mask tokens, at the size of
    the logits; one mask in twenty is below `iou_p5`. `sqnr_db` is the ratio of the logits to their
    error, in decibels: 20 more is an error ten times as small.
    """

    iou: float
    iou_p5: float
    sqnr_db: float


def sweep(
    bundle: Bundle,
    recipe: Recipe = ALL,
    images: ImageSource = None,
    count: int = IMAGE_COUNT,
    of: Sequence[str] | None = None,
    judge: Judge | None = None,
) -> pd.DataFrame:
    """Quantise each part of a float bundle alone: one row for each, most harmful first.

    `of` names the parts, by default `blocks(bundle)`. The recipe says how they are quantised;
    parts that it keeps in float are left out. Columns: `part`, those of `Damage`, and `share`, the
    part's share of 1 - iou, summed over all parts. Without a judge, one asks about four of the
    images that the model is calibrated with.
    """
    everything = parts(bundle)
    recipe = of_images(recipe, everything)
    wanted = [part for part in (of or blocks(bundle)) if recipe.quantises(part)]
    unknown = [part for part in wanted if not any(within(one, part) for one in everything)]
    if unknown or not wanted:
        raise ValueError(f"of is {of!r}; wanted parts of: {', '.join(everything)}")
    calibrated = calibrate(bundle, recipe, images, count)
    judge = judge or Judge(OnnxEngine(bundle), images)
    rows = []
    for part in tqdm(wanted, desc="parts", leave=False):
        others = tuple(one for one in everything if not within(one, part))
        alone = replace(recipe, keep_float=(*recipe.keep_float, *others))
        rows.append({"part": part, **damage_of(calibrated, alone, judge)._asdict()})
    table = pd.DataFrame(rows)
    lost = 1 - table["iou"]
    table["share"] = lost / lost.sum() if lost.any() else 0.0
    return table.sort_values(["iou", "sqnr_db"], ignore_index=True)


def spare(table: pd.DataFrame, worst: int, recipe: Recipe = ALL) -> Recipe:
    """The recipe, changed to keep the `worst` parts of a sweep in float too.

    >>> table = pd.DataFrame({"part": ["encoder.blocks.2", "encoder.neck"], "iou": [0.5, 0.9]})
    >>> spare(table, 1).keep_float
    ('encoder.blocks.2',)
    """
    worst_parts = table.nsmallest(worst, "iou")["part"]
    return replace(recipe, keep_float=tuple(dict.fromkeys((*recipe.keep_float, *worst_parts))))


def of_images(recipe: Recipe, parts: Sequence[str]) -> Recipe:
    """The recipe, changed to keep the memory in float, which images say nothing about.

    >>> of_images(ALL, ["encoder.neck", "memory_attention.mlp.0"]).keep_float
    ('memory_attention.mlp.0',)
    """
    memory = (part for part in parts if within(part, MEMORY))
    return replace(recipe, keep_float=(*recipe.keep_float, *memory))


def blocks(bundle: Bundle) -> list[str]:
    """The parts of a bundle, with the parts of each block taken together."""
    return list(dict.fromkeys(".".join(part.split(".")[:3]) for part in parts(bundle)))


def damage_of(calibrated: Calibrated, recipe: Recipe, judge: Judge) -> Damage:
    """Measure what a recipe does to the answers; nothing is left on disk."""
    with tempfile.TemporaryDirectory() as scratch:
        return judge.damage(OnnxEngine(calibrated.write(recipe, Path(scratch) / "bundle")))
