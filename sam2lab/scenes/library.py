"""The photos and pictures of one side of the split, drawn at random and kept small in memory."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from sam2lab import settings
from sam2lab.runtime import images as photos
from sam2lab.runtime.lru import BoundedMap, HasBytes
from sam2lab.runtime.masks import Mask, window
from sam2lab.scenes import augment
from sam2lab.scenes.coco import CocoFolder
from sam2lab.scenes.cutouts import CutoutFolder
from sam2lab.scenes.layers import RGBA
from sam2lab.scenes.photo_sets import FirstPrompt, weight_of
from sam2lab.scenes.scene import RGB, Scene
from sam2lab.scenes.split import held_out

LONGEST_SIDE = 640
KEPT_BYTES = 2**28
TRIES = 50

# Photos that other packages bring, where they are installed, besides those in data/photos.
PACKAGE_PHOTOS = {
    "skimage": ("data/astronaut.png",),
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
}

Name = tuple[int, int | str]
"""The number of a folder among several, and what it calls a photo or picture."""

V = TypeVar("V", bound=HasBytes)


class Shelf(Generic[V]):
    """Draws what `read` gives for a name, and keeps those used last in memory, up to a bound.

    `families` groups the names: a family is drawn first, then one of its names. `weights` say how
    often each family is drawn for a first prompt; without either, all are drawn alike. A broken
    one is noted once in `problems`, and another is drawn in its place. A copy in another process
    starts with nothing in memory.
    """

    def __init__(
        self,
        families: Sequence[Sequence[Name]],
        read: Callable[[Name], V],
        weights: Mapping[FirstPrompt, Sequence[float]] | None = None,
    ) -> None:
        self.families = families
        self.problems: dict[Name, str] = {}
        self._read = read
        self._upto = {
            first: np.cumsum(each) for first, each in (weights or {}).items() if len(set(each)) > 1
        }
        self._kept: BoundedMap[Name, V] = BoundedMap(2**20, KEPT_BYTES)

    def __len__(self) -> int:
        return len(self.families)

    def draw(self, rng: np.random.Generator, first: FirstPrompt | None = None) -> V:
        """Draw one of the values; the same random numbers give the same one."""
        upto = None if first is None else self._upto.get(first)
        for _ in range(TRIES):
            if upto is None:
                family = self.families[int(rng.integers(len(self.families)))]
            else:
                place = np.searchsorted(upto, rng.random() * upto[-1], side="right")
                family = self.families[int(place)]
            name = family[int(rng.integers(len(family)))]
            value = self._kept.get(name)
            if value is None and name not in self.problems:
                try:
                    value = self._read(name)
                    self._kept.put(name, value)
                except photos.ImageError as error:
                    self.problems[name] = str(error)
                    # `problems` of a loader's process does not reach the one that prints it.
                    warnings.warn(f"another picture is drawn instead: {error}", stacklevel=2)
            if value is not None:
                return value
        raise ValueError(
            f"{TRIES} pictures in a row are broken: {list(self.problems.values())[:3]}"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _kept=BoundedMap(2**20, KEPT_BYTES))


@dataclass(frozen=True, eq=False)
class KeptScene:
    """A scene whose masks are kept within their bounding boxes only."""

    image: RGB
    boxed: list[tuple[slice, slice, Mask]]

    @classmethod
    def of(cls, scene: Scene) -> KeptScene:
        """Keep a scene; empty masks are left out."""
        boxed = []
        for mask in scene.masks:
            rows, columns = window(mask)
            if rows.stop:
                boxed.append((rows, columns, mask[rows, columns].copy()))
        return cls(scene.image, boxed)

    @property
    def nbytes(self) -> int:
        """Bytes of the picture and of all masks."""
        return self.image.nbytes + sum(mask.nbytes for _, _, mask in self.boxed)

    def scene(self) -> Scene:
        """Unpack the scene, its masks (N, H, W)."""
        masks = np.zeros((len(self.boxed), *self.image.shape[:2]), bool)
        for whole, (rows, columns, mask) in zip(masks, self.boxed, strict=True):
            whole[rows, columns] = mask
        return Scene(self.image, masks)


class CocoShelf(Shelf[KeptScene]):
    """Photos with objects from COCO-format folders, of one side of the split.

    Those of a known set are drawn as often as its weights say (see `photo_sets`).
    """

    def __init__(self, folders: Sequence[CocoFolder], held: bool) -> None:
        self.folders = folders
        names = [
            (number, image_id)
            for number, folder in enumerate(folders)
            for image_id in folder.images
            if held_out(image_id) == held
        ]
        kinds: tuple[FirstPrompt, ...] = ("click", "box")
        weights: dict[FirstPrompt, list[float]] = {
            first: [weight_of(folders[n].set_of(int(i)), first) for n, i in names]
            for first in kinds
        }
        super().__init__([[name] for name in names], self._scene, weights)

    def _scene(self, name: Name) -> KeptScene:
        return KeptScene.of(_small(self.folders[name[0]].scene(int(name[1]))))


class CutoutShelf(Shelf[RGBA]):
    """RGBA pictures from folders, of one side of the split."""

    def __init__(self, folders: Sequence[CutoutFolder], held: bool) -> None:
        self.folders = folders
        families = [
            [(number, name) for name in family]
            for number, folder in enumerate(folders)
            for family in folder.families
            if held_out(family[0]) == held
        ]
        super().__init__(families, self._picture)

    def _picture(self, name: Name) -> RGBA:
        return self.folders[name[0]].read(str(name[1]))


class PhotoShelf(Shelf[KeptScene]):
    """Photos without known objects that come with the project or with other packages."""

    def __init__(self, held: bool) -> None:
        paths = [path for path in package_photos() if held_out(path.name) == held]
        super().__init__([[(0, str(path))] for path in paths], self._scene)

    def _scene(self, name: Name) -> KeptScene:
        photo = photos.read(str(name[1])).astype(np.uint8, copy=False)
        return KeptScene.of(_small(Scene(photo, np.zeros((0, *photo.shape[:2]), bool))))


def package_photos() -> list[Path]:
    """The photos in data/photos, and those of PACKAGE_PHOTOS whose package is installed."""
    found = sorted((settings.data_folder() / "photos").glob("*.jpg"))
    for package, files in PACKAGE_PHOTOS.items():
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            found += [Path(os.path.dirname(spec.origin), file) for file in files]
    return [path for path in found if path.is_file()]


def _small(scene: Scene) -> Scene:
    height, width = scene.image.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return scene
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return augment.cut(scene, (0, 0, width, height), size)
