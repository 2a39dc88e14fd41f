"""`Mixture`: an endless, numbered stream of varied scenes, for training and for testing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from sam2lab.runtime.images import ImageError
from sam2lab.scenes import augment, cutouts, synthetic, textures
from sam2lab.scenes.coco import CocoFolder
from sam2lab.scenes.cutouts import CutoutFolder
from sam2lab.scenes.layers import RGBA
from sam2lab.scenes.library import CocoShelf, CutoutShelf, KeptScene, PhotoShelf, Shelf
from sam2lab.scenes.photo_sets import FirstPrompt
from sam2lab.scenes.scene import RGB, Scene

# How often each kind of scene is drawn; without annotated photos, the other two.
PHOTO, DRAWN, PASTED = 0.5, 0.12, 0.38
# How often each kind of object is pasted, where there is any of it.
INSTANCE, PICTURE, SHAPE = 0.45, 0.35, 0.2

MOST_PASTED = 7
LEAST_INSTANCE = 24
"""Pixels of the longer side: a smaller object of a photo is not cut out."""


T = TypeVar("T")


class Mixture:
    """Gives scenes by number: the same number gives the same scene, in every process.

    `coco` are COCO-format folders, `cutouts` folders of RGBA pictures. A mixture with `held_out`
    uses only photos, pictures and numbers that one without it never uses. Without any COCO
    folder, the grounds are photos that the project and other packages bring. With `whole`, photos
    are shown as they are; otherwise as parts, in other light.

    >>> scene = Mixture().scene(7, (64, 64))
    >>> scene.image.shape, scene.masks.shape[1:]
    ((64, 64, 3), (64, 64))
    """

    def __init__(
        self,
        coco: Sequence[CocoFolder] = (),
        cutouts: Sequence[str | os.PathLike[str]] = (),
        seed: int = 0,
        held_out: bool = False,
        whole: bool = False,
    ) -> None:
        self.seed = seed
        self.held_out = held_out
        self._whole = whole
        self._annotated = CocoShelf(coco, held_out)
        self._pictures = CutoutShelf([CutoutFolder(folder) for folder in cutouts], held_out)
        self._photos: Shelf[KeptScene] = (
            self._annotated if len(self._annotated) else PhotoShelf(held_out)
        )

    @property
    def contents(self) -> str:
        """How many photos and pictures there are to draw from.

        >>> Mixture().contents
        '0 annotated photos, 0 pictures to paste'
        """
        pictures = sum(map(len, self._pictures.families))
        return f"{len(self._annotated)} annotated photos, {pictures} pictures to paste"

    @property
    def problems(self) -> list[str]:
        """The broken pictures found until now; others were drawn in their place."""
        found = [problem for folder in self._annotated.folders for problem in folder.problems]
        found += self._pictures.problems.values()
        if self._photos is not self._annotated:
            found += self._photos.problems.values()
        return found

    def scene(self, index: int, size: tuple[int, int], first: FirstPrompt = "click") -> Scene:
        """Draw scene number `index`, of `size` (height, width); some have no object.

        `first` says what its objects will be asked for by: other photos are good for clicks than
        for boxes.
        """
        rng = np.random.default_rng([self.seed, int(self.held_out), index])
        draw = _choice(
            rng,
            [
                (PHOTO if len(self._annotated) else 0, self._photo),
                (DRAWN, self._drawn),
                (PASTED, self._pasted),
            ],
        )
        return draw(rng, size, first)

    def _photo(self, rng: np.random.Generator, size: tuple[int, int], first: FirstPrompt) -> Scene:
        scene = self._annotated.draw(rng, first).scene()
        if not self._whole:
            return augment.crop(rng, scene, size)
        height, width = scene.image.shape[:2]
        return augment.cut(scene, (0, 0, width, height), size).without_specks()

    def _drawn(self, rng: np.random.Generator, size: tuple[int, int], _: FirstPrompt) -> Scene:
        return synthetic.draw(rng, size, self._texture)

    def _pasted(self, rng: np.random.Generator, size: tuple[int, int], first: FirstPrompt) -> Scene:
        objects: list[RGBA] = []
        for _ in range(int(rng.integers(1, MOST_PASTED + 1))):
            if objects and rng.random() < 0.2:
                objects.append(objects[-1])
                continue
            cutout = self.cutout(rng, size)
            if cutout is not None:
                objects.append(cutout)
        return cutouts.compose(rng, size, self.ground(rng, size, first), objects)

    def cutout(self, rng: np.random.Generator, size: tuple[int, int]) -> RGBA | None:
        """Draw something to paste; None where the photo that was drawn has nothing large enough."""
        make = _choice(
            rng,
            [
                (INSTANCE if len(self._annotated) else 0, self._instance),
                (PICTURE if len(self._pictures) else 0, self._picture),
                (SHAPE, self._shape),
            ],
        )
        return make(rng, size)

    def ground(
        self, rng: np.random.Generator, size: tuple[int, int], first: FirstPrompt | None = None
    ) -> Scene:
        """Draw something to paste on: a part of a photo, or a surface."""
        if len(self._photos) and rng.random() < 0.75:
            return augment.part(rng, self._photos.draw(rng, first).scene(), size)
        return Scene(textures.draw(rng, size), np.zeros((0, *size), bool))

    def _instance(self, rng: np.random.Generator, size: tuple[int, int]) -> RGBA | None:
        kept = self._annotated.draw(rng)
        large = [box for box in kept.boxed if max(box[2].shape) >= LEAST_INSTANCE]
        if not large:
            return None
        down, across, mask = large[rng.integers(len(large))]
        try:
            return cutouts.cut_out(kept.image[down, across], mask)
        # An object of single pixels has nothing solid once its edges are soft.
        except ImageError:
            return None

    def _picture(self, rng: np.random.Generator, size: tuple[int, int]) -> RGBA:
        return self._pictures.draw(rng)

    def _shape(self, rng: np.random.Generator, size: tuple[int, int]) -> RGBA:
        return synthetic.shape(rng, int(max(size) * rng.uniform(0.2, 0.8)), self._texture)

    def _texture(self, rng: np.random.Generator, size: tuple[int, int]) -> RGB:
        """Take a piece of a photo or draw a surface, each as often as the other."""
        if not len(self._photos) or rng.random() < 0.5:
            return textures.draw(rng, size)
        image = self._photos.draw(rng).image
        share = rng.uniform(0.1, 0.5)
        tall, wide = (max(1, int(side * share)) for side in image.shape[:2])
        top = rng.integers(image.shape[0] - tall + 1)
        left = rng.integers(image.shape[1] - wide + 1)
        piece = image[top : top + tall, left : left + wide]
        whole = Scene(np.ascontiguousarray(piece), np.zeros((0, tall, wide), bool))
        return augment.tint(rng, augment.cut(whole, (0, 0, wide, tall), size).image, 1.0)


def _choice(rng: np.random.Generator, chances: list[tuple[float, T]]) -> T:
    weights = np.array([weight for weight, _ in chances])
    return chances[rng.choice(len(weights), p=weights / weights.sum())][1]
