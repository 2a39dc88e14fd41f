"""Random prompts of every kind on given images, the same for every engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sam2lab.runtime import images as photos
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.engines.protocol import Float32
from sam2lab.runtime.images import ImageLike

KINDS = ("1 point", "point + negative", "3 points", "box", "box + point", "refine")


@dataclass(frozen=True, eq=False)
class Case:
    """One prompt on one image, in pixels of the photo, (x, y), origin top left.

    `image` is the photo's place in the list. Points are (P, 2) with labels (P,), a box is (4,)
    as x0, y0, x1, y1; what the kind lacks is None. `refine` begins with its first point alone,
    then gives all its points together with the logits of that answer.
    """

    image: int
    kind: str
    point_coordinates: Float32 | None = None
    point_labels: Float32 | None = None
    box: Float32 | None = None

    @property
    def prompt(self) -> dict[str, Any]:
        """The case as arguments of `Segmenter.segment_images`."""
        return {
            "point_coordinates": self.point_coordinates,
            "point_labels": self.point_labels,
            "boxes": self.box,
        }

    @property
    def first_click(self) -> dict[str, Any]:
        """The first point alone, with which `refine` begins."""
        if self.point_coordinates is None or self.point_labels is None:
            raise ValueError(f"a case of kind {self.kind!r} has no points to begin with")
        return {
            "point_coordinates": self.point_coordinates[:1],
            "point_labels": self.point_labels[:1],
        }


def draw_cases(
    images: Sequence[ImageLike],
    kinds: Iterable[str] = KINDS,
    prompts_per_kind: int = 1,
    seed: int = 0,
) -> list[Case]:
    """Draw prompts for each image and kind: a random box, and clicks in and around it.

    Images are what `images.read` takes. A case depends only on the seed, its image's place and
    size, its kind and its number, so that fewer kinds leave the others as they are.

    >>> [case.kind for case in draw_cases([np.zeros((40, 60, 3), np.uint8)], ["box", "3 points"])]
    ['box', '3 points']
    """
    wanted = [kinds] if isinstance(kinds, str) else list(kinds)
    if not wanted or not set(wanted) <= set(KINDS):
        raise ValueError(f"kinds is {wanted}; wanted some of: {', '.join(KINDS)}")
    prompts_per_kind = whole("prompts_per_kind", prompts_per_kind, least=1)
    drawn = []
    for index, image in enumerate(images):
        size = photos.read(image).shape[:2]
        for kind in wanted:
            for number in range(prompts_per_kind):
                rng = np.random.default_rng([seed, index, KINDS.index(kind), number])
                drawn.append(_draw(rng, index, kind, (size[0], size[1])))
    return drawn


def _draw(rng: np.random.Generator, image: int, kind: str, size: tuple[int, int]) -> Case:
    limit = np.array([size[1], size[0]], np.float32) - 1
    extent = limit * rng.uniform(0.2, 0.6, 2)
    corner = (limit - extent) * rng.uniform(0, 1, 2)
    inside = corner + extent * rng.uniform(0.2, 0.8, (3, 2))
    # A negative click lies just beyond one of the box's four corners.
    beyond = corner + extent * rng.choice([-0.2, 1.2], 2)
    box = np.concatenate([corner, corner + extent]).round().astype(np.float32)
    points = {
        "1 point": inside[:1],
        "point + negative": np.stack([inside[0], beyond]),
        "3 points": inside,
        "box": None,
        "box + point": inside[:1],
        "refine": np.stack([inside[0], beyond]),
    }[kind]
    given = box if kind.startswith("box") else None
    if points is None:
        return Case(image, kind, box=given)
    labels = np.ones(len(points), np.float32)
    if kind in ("point + negative", "refine"):
        labels[1] = 0
    clicks = np.clip(points.round(), 0, limit).astype(np.float32)
    return Case(image, kind, clicks, labels, given)
