"""How well a model does on scenes that it never sees: the curve to watch while it learns."""

from __future__ import annotations

import numpy as np
import torch

from sam2lab.reference import zoo
from sam2lab.train.lessons import Scenes, draw
from sam2lab.train.losses import overlap
from sam2lab.train.pupil import Pupil

PICTURES, PROMPTS = 24, 4
FIGURES = ("unseen_click", "unseen_best", "unseen_box")


def probe(model: zoo.ZooModel, scenes: Scenes, side: int) -> dict[str, float]:
    """Mean Jaccard index over the first scenes with objects, at `side` x `side` pixels.

    `unseen_click` is the best-scored of the three masks of one click, `unseen_best` the best
    of them, `unseen_box` the lone mask of a box. Quick and coarse, on quarter-size masks: for
    figures to report there is `sam2lab.measure.accuracy`.
    """
    with torch.random.fork_rng():
        pupil = Pupil(model).eval()
    found: dict[str, list[float]] = {name: [] for name in FIGURES}
    for index in range(PICTURES):
        scene = scenes.scene(index, (side, side))
        if not len(scene.masks):
            continue
        rng = np.random.default_rng([index, side])
        click = draw(rng, scene, PROMPTS, "click")
        box = draw(rng, scene, PROMPTS, "box")
        with torch.no_grad():
            levels = pupil.look(torch.from_numpy(click.image)[None]).repeat(PROMPTS)
            for name, lesson in (("click", click), ("box", box)):
                points, labels = torch.from_numpy(lesson.points), torch.from_numpy(lesson.labels)
                logits, scores = pupil.answer(levels, side, points, labels, None)
                wanted = torch.from_numpy(lesson.targets)[:, None].expand_as(logits)
                overlaps = overlap(logits, wanted)
                if name == "box":
                    found["unseen_box"] += overlaps[:, 0].tolist()
                else:
                    chosen = scores[:, 1:].argmax(1, keepdim=True)
                    found["unseen_click"] += overlaps[:, 1:].gather(1, chosen)[:, 0].tolist()
                    found["unseen_best"] += overlaps[:, 1:].max(1).values.tolist()
    return {name: float(np.mean(values)) for name, values in found.items()}
