"""Choose answers by their rank, and ask for them again to see the masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from sam2lab.measure.engine_sources import Source, prepared, trained
from sam2lab.measure.ground_truth import Sample, samples
from sam2lab.measure.interactive import InteractiveProtocol, PromptedMasks, prompt_objects
from sam2lab.runtime.engines.protocol import Engine
from sam2lab.runtime.masks import Mask, iou
from sam2lab.scenes.scene import Scene

RANKS = ("best", "median", "worst")


@dataclass(frozen=True, eq=False)
class Example:
    """One object of a photo (H, W, 3): the truth (H, W), and each engine's answer and its IoU."""

    title: str
    photo: npt.NDArray[np.uint8]
    truth: Mask
    answers: dict[str, PromptedMasks]
    ious: dict[str, float]


def best_median_worst(table: pd.DataFrame, engine: str, kind: str, clicks: int) -> pd.DataFrame:
    """The answers with the best, the median and the worst IoU among those to one kind of prompt.

    A row for each, in this order, with a column `rank`. Among equals the first image wins, and
    there the first object.
    """
    same = (table["engine"] == engine) & (table["kind"] == kind) & (table["clicks"] == clicks)
    if not same.any():
        raise ValueError(
            f"table has no answers of {engine!r} to {kind!r} with {clicks} clicks; wanted some of "
            f"{sorted(set(zip(table['engine'], table['kind'], table['clicks'], strict=True)))[:9]}"
        )
    order = table[same].sort_values(
        ["iou", "image", "object"], ascending=[False, True, True], kind="stable"
    )
    worst = int((order["iou"] > order["iou"].iloc[-1]).sum())
    chosen = order.iloc[[0, (len(order) - 1) // 2, worst]].assign(rank=RANKS)
    chosen.attrs = table.attrs
    return chosen


def answer_again(
    engines: Mapping[str, Engine | Source],
    ground_truth: Iterable[Sample | Scene],
    rows: pd.DataFrame,
) -> list[Example]:
    """Ask every engine again for the objects of some rows, and keep the masks.

    `rows` are of one table of `evaluate` on this ground truth, as `best_median_worst` chooses
    them.
    """
    missing = set(rows["image"])
    found = {}
    for sample in samples(ground_truth):
        if sample.image in missing:
            found[sample.image] = sample.load()
            missing.remove(sample.image)
        if not missing:
            break
    if missing:
        raise ValueError(
            f"rows is about images {sorted(missing)}, which ground_truth has not; "
            "give the ground truth of the same table"
        )
    opened = {name: trained(name, one) for name, one in prepared(engines, False).items()}
    examples = []
    for row in rows.itertuples():
        photo, masks, _ = found[row.image]
        truth = masks[row.object]
        protocol = InteractiveProtocol((row.kind,), max(row.clicks, 1), rows.attrs["seed"])
        answers = {}
        for name, engine in opened.items():
            *_, last = prompt_objects(engine, photo, {row.object: truth}, protocol, row.image)
            answers[name] = last
        ious = {name: iou(truth, answer.best) for name, answer in answers.items()}
        title = f"{row.rank}\nimage {row.image}, object {row.object}"
        examples.append(Example(title, photo, truth, answers, ious))
    return examples
