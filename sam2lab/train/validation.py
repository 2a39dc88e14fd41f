"""Measures a model on scenes that it never trains on: the curve to watch meanwhile."""

from __future__ import annotations

import numpy as np
import torch

from sam2lab.reference import zoo
from sam2lab.train.batches import Scenes, draw_sample
from sam2lab.train.losses import mask_iou, user_ious
from sam2lab.train.trainable import TrainableModel

PICTURES, PROMPTS = 24, 4
FIGURES = ("unseen_click", "unseen_best", "unseen_box")


def validate(model: zoo.ZooModel, scenes: Scenes, side: int) -> dict[str, float]:
    """Mean IoU over the first scenes with objects, at `side` x `side` pixels.

    `unseen_click` is the best-scored of the three masks of one click, `unseen_best` the best
    of them, `unseen_box` the single mask of a box. Quick and coarse, on quarter-size masks: for
    figures to report there is `sam2lab.measure.evaluate`.
    """
    with torch.random.fork_rng():
        trainable = TrainableModel(model).eval()
    found: dict[str, list[float]] = {name: [] for name in FIGURES}
    for index in range(PICTURES):
        scene = scenes.scene(index, (side, side))
        if not len(scene.masks):
            continue
        rng = np.random.default_rng([index, side])
        click = draw_sample(rng, scene, PROMPTS, "click", slots=1)
        box = draw_sample(rng, scene, PROMPTS, "box", slots=2)
        with torch.no_grad():
            maps = trainable.encode(torch.from_numpy(click.image)[None]).repeat(PROMPTS)
            for name, sample in (("click", click), ("box", box)):
                points, labels = torch.from_numpy(sample.points), torch.from_numpy(sample.labels)
                logits, scores = trainable.decode(maps, side, points, labels, None)
                ious = mask_iou(logits, torch.from_numpy(sample.targets)[:, None])
                chosen, best, single = user_ious(scores, ious)
                if name == "box":
                    found["unseen_box"] += single.tolist()
                else:
                    found["unseen_click"] += chosen.tolist()
                    found["unseen_best"] += best.tolist()
    return {name: float(np.mean(values)) for name, values in found.items()}
