"""Photos with the true masks of their objects, from a COCO-format folder or from scenes.

A ground truth is any iterable of `Sample`s. A sample names a photo and knows how to get it, but
does not hold it, so that thousands can wait in a queue or travel to other machines.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.digests import sha256_of
from sam2lab.runtime.masks import Mask
from sam2lab.scenes.coco import CocoFolder
from sam2lab.scenes.scene import Scene
from sam2lab.scenes.split import held_out as is_held_out

Path = str | os.PathLike[str]


class Skipped(NamedTuple):
    """One object or photo that was not measured, and the reason.

    `object` is None for a whole photo, `image` where no photo is known.
    """

    image: int | None
    object: int | None
    reason: str


class Labelled(NamedTuple):
    """A photo (H, W, 3), the masks (H, W) of its objects by number, and what was skipped."""

    photo: npt.NDArray[np.uint8]
    masks: dict[int, Mask]
    skipped: list[Skipped]


class Sample(NamedTuple):
    """A photo's number, and how to get it."""

    image: int
    load: Callable[[], Labelled]


class Samples(Sequence[Sample]):
    """Samples that are made on demand, and what was skipped before any photo was read.

    Equal keys mean the same pictures with the same truth.
    """

    def __init__(
        self,
        images: Sequence[int],
        load: Callable[[int], Labelled],
        key: str,
        skipped: Sequence[Skipped] = (),
    ) -> None:
        self._images, self._load = images, load
        self.key, self.skipped = key, skipped

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Samples(self._images[index], self._load, self.key, self.skipped)
        return Sample(self._images[index], partial(self._load, self._images[index]))


class Mixture(Protocol):
    """Draws the same scene for the same number, as `scenes.mixture.Mixture` does."""

    def scene(self, index: int, size: tuple[int, int]) -> Scene: ...


def coco(annotations: Path, images: Path | None = None, held_out: bool = False) -> Samples:
    """The photos of a COCO-format set; with `held_out` only those that training never reads.

    Other processes open the set for themselves, by these paths. Crowds, objects without a pixel
    (as in upstream's evaluation) and photos that cannot be read are skipped and counted.
    """
    place = (os.fspath(annotations), None if images is None else os.fspath(images))
    # Only the problems of the file: those of a photo come with its sample.
    folder = CocoFolder(*place)
    chosen = [image for image in folder.images if is_held_out(image) or not held_out]
    skipped = [Skipped(None, None, problem) for problem in folder.problems]
    key = sha256_of(folder.file)
    return Samples(chosen, partial(_load_coco, place, key), key, skipped)


def drawn(mixture: Mixture, count: int, size: tuple[int, int], first: int = 0) -> Samples:
    """The scenes `first`, `first` + 1, … of a mixture, each (height, width) `size`."""
    key = hashlib.sha256(pickle.dumps((mixture, size))).hexdigest()
    return Samples(range(first, first + count), partial(_load_drawn, mixture, size), key)


def samples(source: Iterable[Sample | Scene]) -> Iterator[Sample]:
    """Samples as they are, and scenes as samples, numbered in their order."""
    for number, one in enumerate(source):
        yield Sample(number, partial(_from_scene, one, number)) if isinstance(one, Scene) else one


def _load_coco(place: tuple[str, str | None], key: str, image: int) -> Labelled:
    folder = _folder(place, key)
    photo = folder.read(image)
    found = folder.objects(image)
    crowds = [Skipped(image, each.id, "crowd") for each in found if each.iscrowd]
    here = f" of image {image} is skipped: "
    broken = [Skipped(image, None, line) for line in folder.problems if here in line]
    masks = {each.id: each.mask for each in found if not each.iscrowd}
    return Labelled(photo, masks, crowds + broken)


def _load_drawn(mixture: Mixture, size: tuple[int, int], index: int) -> Labelled:
    return _from_scene(mixture.scene(index, size), index)


def _from_scene(scene: Scene, image: int) -> Labelled:
    visible = {number: mask for number, mask in enumerate(scene.masks) if mask.any()}
    hidden = [
        Skipped(image, number, "degenerate: no pixel")
        for number in range(len(scene.masks))
        if number not in visible
    ]
    return Labelled(scene.image, visible, hidden)


# An index of COCO takes seconds to read, and a worker needs the same one thousands of times. The
# key is an argument so that a file that was changed is read again.
@lru_cache(maxsize=2)
def _folder(place: tuple[str, str | None], key: str) -> CocoFolder:
    return CocoFolder(*place)
