"""Clips that were drawn for measuring, and what a table of `tracking_study` says about them.

In half of the clips the object is out of sight for a while. They tell how often a model rightly
says that the object is there or gone; the others tell how well it follows, frame by frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from sam2lab.measure.accuracy_summaries import mean_interval
from sam2lab.measure.videos import Clip
from sam2lab.scenes.moving import EXAM_PACE, MovingScenes

_FOLLOWED = ["engine", "prompt", "way"]


def moving_clips(
    scenes: MovingScenes, count: int, frames: int = 24, side: int = 512, hides: bool = False
) -> list[Clip]:
    """The first clips of `scenes`, of frames `side` pixels square, each with one object.

    >>> from sam2lab.scenes import Mixture
    >>> (clip,) = moving_clips(MovingScenes(Mixture(held_out=True)), 1, frames=3, side=64)
    >>> clip.name, len(clip.frames), clip.labels(0).shape
    ('clip 0', 3, (64, 64))
    """
    kind = "hiding" if hides else "clip"
    drawn = [scenes.clip(number, frames, side, EXAM_PACE, hides) for number in range(count)]
    return [
        Clip(f"{kind} {number}", clip.images, clip.masks[:, None])
        for number, clip in enumerate(drawn)
    ]


def j_at(table: pd.DataFrame, frames: Sequence[int], seed: int = 0) -> pd.DataFrame:
    """Mean J in some frames, for each engine, prompt and way.

    Columns: `engine`, `prompt`, `way`, `frame`, `clips`, `j` and its 95 % interval from drawing
    clips, `low` to `high`.
    """
    asked = table[table["frame"].isin(list(frames))]
    rows = []
    for key, group in asked.groupby([*_FOLLOWED, "frame"], sort=False):
        value, low, high = mean_interval(group["j"], group["sequence"], seed=seed)
        figures = {"clips": group["sequence"].nunique(), "j": value, "low": low, "high": high}
        rows.append(dict(zip([*_FOLLOWED, "frame"], key, strict=True)) | figures)
    return pd.DataFrame(rows)


def presence_called(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """How often frames are rightly called with or without their object, by a score above 0.

    Frame 0, which has the prompt, is not counted. Columns: `engine`, `prompt`, `clips`, `of` (which
    frames: "all", "with it", "without it"), `frames`, `right` (their share) and its 95 % interval
    from drawing clips, `low` to `high`.
    """
    asked = table[(table["way"] == "memory") & (table["frame"] > 0)]
    there = asked["area_px"] > 0
    asked = asked.assign(there=there, right=(asked["score"] > 0) == there)
    rows = []
    for (engine, prompt), group in asked.groupby(["engine", "prompt"], sort=False):
        kinds = {
            "all": group,
            "with it": group[group["there"]],
            "without it": group[~group["there"]],
        }
        for name, chosen in kinds.items():
            right, low, high = mean_interval(chosen["right"], chosen["sequence"], seed=seed)
            counts = {"clips": chosen["sequence"].nunique(), "of": name, "frames": len(chosen)}
            ends = {"right": right, "low": low, "high": high}
            rows.append({"engine": engine, "prompt": prompt, **counts, **ends})
    return pd.DataFrame(rows)
