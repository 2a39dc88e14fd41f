"""J and F of a mask in a frame, as DAVIS 2017 defines them, and their means over objects.

J is the Jaccard index (IoU), F compares outlines (see `masks.boundary_f`), J&F is the mean of the
two. Where neither truth nor answer has a pixel, both are 1: an object that is gone is right when
nothing is marked. Where only one of them has pixels, both are 0.

DAVIS averages over the frames of each object first, then over all objects of all videos, so that
neither a long video nor a crowded frame weighs more than its objects. In its semi-supervised task
the first frame, which holds the prompt, and the last one do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from sam2lab.measure.accuracy_summaries import mean_interval
from sam2lab.runtime.masks import Mask, boundary_f, iou

OBJECT = ["engine", "way", "prompt", "sequence", "object"]
"""The columns that together name one object as one engine followed it in one way."""

FIGURES = ("j", "f", "j_and_f")


class JF(NamedTuple):
    """The two figures of one mask, from 0 to 1."""

    j: float
    f: float


def jaccard_and_boundary(truth: Mask, answer: Mask, void: Mask | None = None) -> JF:
    """Compare an answer (H, W) with the true mask (H, W).

    Pixels of `void` (H, W), of which nobody knows what they show, count in neither mask.

    >>> import numpy as np
    >>> truth = np.zeros((50, 50), bool)
    >>> truth[10:40, 10:30] = True
    >>> half = truth & (np.arange(50) < 20)
    >>> jaccard_and_boundary(truth, truth), round(jaccard_and_boundary(truth, half).j, 2)
    (JF(j=1.0, f=1.0), 0.5)
    """
    if void is not None:
        truth, answer = truth & ~void, answer & ~void
    return JF(iou(truth, answer), boundary_f(truth, answer))


def by_object(table: pd.DataFrame) -> pd.DataFrame:
    """The means of each object over the frames that count, of a table of `tracking_study`.

    Columns: `engine`, `way`, `prompt`, `sequence`, `object`, `frames`, `j`, `f`, `j_and_f`.
    """
    counted = table[table["is_counted"]]
    grouped = counted.groupby(OBJECT, sort=False, observed=True)
    means = grouped.agg(frames=("j", "size"), j=("j", "mean"), f=("f", "mean")).reset_index()
    means["j_and_f"] = (means["j"] + means["f"]) / 2
    return means


def summarise_tracking(table: pd.DataFrame, by: Sequence[str] = (), seed: int = 0) -> pd.DataFrame:
    """The three figures for each engine, way and kind of prompt, as DAVIS reports them.

    Columns: `engine`, `way`, `prompt` and those of `by`, such as "sequence"; `sequences`,
    `objects`; `j`, `f` and `j_and_f`, and of each the ends of a 95 % interval, such as `j_low` and
    `j_high`. Objects of one video resemble each other, so intervals come from drawing whole
    videos; fewer than four have none.
    """
    objects = by_object(table)
    rows = []
    for key, group in objects.groupby([*OBJECT[:3], *by], sort=False, observed=True):
        row = dict(zip([*OBJECT[:3], *by], key, strict=True))
        row |= {"sequences": group["sequence"].nunique(), "objects": len(group)}
        for figure in FIGURES:
            value, low, high = mean_interval(group[figure], group["sequence"], seed=seed)
            row |= {figure: value, f"{figure}_low": low, f"{figure}_high": high}
        rows.append(row)
    ends = [name for figure in FIGURES for name in (figure, f"{figure}_low", f"{figure}_high")]
    return pd.DataFrame(rows, columns=[*OBJECT[:3], *by, "sequences", "objects", *ends])
