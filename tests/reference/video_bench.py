"""Upstream's SAM2VideoPredictor and ours on one clip, with scripts of what a user does."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from sam2lab.measure.video_parity import Answer, Step, answers, compare_answers
from sam2lab.reference import zoo
from sam2lab.reference.engine import TorchEngine
from sam2lab.reference.video import upstream_video_predictor
from sam2lab.runtime.video.predictor import VideoPredictor
from sam2lab.runtime.video.protocol import VideoEngine, VideoSettings
from tests.reference.clips import Clip, make_clip

STEEPER = 30
SETTINGS = {each.name for each in fields(VideoSettings)}


@dataclass
class Bench:
    """A model, a clip, our engines, and what upstream answered to the scripts so far."""

    model: zoo.ZooModel
    clip: Clip
    engines: dict[str, VideoEngine]
    answered: dict[str, list[Answer]] = field(default_factory=dict)

    def upstream(self, **settings: Any) -> Any:
        """SAM2VideoPredictor, which also takes prompts that are all on later frames."""
        upstream = upstream_video_predictor(self.model, **settings)
        # Without pointers memories stay in bfloat16, which the weights do not take.
        upstream.memory_attention.register_forward_pre_hook(
            lambda _, args, named: (args, named | {"memory": named["memory"].float()}),
            with_kwargs=True,
        )
        return upstream

    def ours(self, engine: str, **settings: Any) -> VideoPredictor:
        """Our predictor with upstream's settings, and upstream's defaults."""
        changed = {name: settings.pop(name) for name in settings.keys() & SETTINGS}
        settings = {"add_all_frames_to_correct_as_cond": False} | settings
        return VideoPredictor(with_settings(self.engines[engine], changed), **settings)

    def compare(self, engine: str, script: Script, **settings: Any) -> pd.DataFrame:
        """One row per answer and object, upstream being `a`."""
        ours = answers(self.ours(engine, **settings), self.clip.folder, script(self.clip))
        return compare_answers(self.expected(script, **settings), ours)

    def expected(self, script: Script, **settings: Any) -> list[Answer]:
        """What upstream answers, which is computed once."""
        key = f"{script.__name__} {sorted(settings.items())}"
        if key not in self.answered:
            steps = answers(self.upstream(**settings), self.clip.folder, script(self.clip))
            self.answered[key] = list(steps)
        return self.answered[key]


Script = Callable[[Clip], list[Step]]


def with_settings(engine: VideoEngine, changed: dict[str, Any]) -> VideoEngine:
    """The same engine with other settings of its memory."""
    video = replace(engine.video, **changed)
    other = copy.copy(engine)
    other.__class__ = type("Changed", (type(engine),), {"video": property(lambda _: video)})
    return other


def make_bench(
    folder: Path, size: str, side: int, frames: int, video_size: tuple[int, int], centre: float
) -> Bench:
    """A clip, and a model whose scores of objects are spread around 0.

    With random weights they are all near `centre`, so that all objects would be there, or none.
    """
    model = zoo.load(size, "random", input_size=(side, side))
    head = model.module.sam_mask_decoder.pred_obj_score_head.layers[-1]
    with torch.no_grad():
        head.weight *= STEEPER
        head.bias.copy_((head.bias - centre) * STEEPER)
    clip = make_clip(folder / "clip", frames, video_size)
    return Bench(model, clip, {"torch": TorchEngine(model)})


def click(frame: int, obj_id: int, *points: list[float], labels: Any = None, **more: Any) -> Step:
    labels = [1] * len(points) if labels is None else labels
    arguments = {"points": [list(point) for point in points], "labels": labels}
    place = {"frame_idx": frame, "obj_id": obj_id}
    return "add_new_points_or_box", place | (arguments if points else {}) | more


def mask(frame: int, obj_id: int, where: np.ndarray) -> Step:
    return "add_new_mask", {"frame_idx": frame, "obj_id": obj_id, "mask": where}


def go(**options: Any) -> Step:
    return "propagate_in_video", options
