"""`AnnotatedPhoto`, from which every take-away format is made: a photo and labelled objects."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from sam2lab.runtime.images import RGB
from sam2lab.runtime.masks import Mask

# A format makes these: the bytes of each file by its name.
Files = dict[str, bytes]


@dataclass(frozen=True, eq=False)
class LabelledObject:
    """An object's name, its mask (H, W), which is not empty, and its predicted IoU."""

    name: str
    mask: Mask
    score: float


@dataclass(frozen=True, eq=False)
class AnnotatedPhoto:
    """A photo (H, W, 3) RGB, the name of its file, and the objects on it.

    `has_file` is false for a photo that was never a file: its pixels exist nowhere else.
    """

    name: str
    photo: RGB
    objects: tuple[LabelledObject, ...]
    has_file: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.photo.shape[:2]
        return height, width

    @property
    def stem(self) -> str:
        """The beginning of the names of files about this photo."""
        return safe_name(Path(self.name).stem)

    @property
    def file(self) -> str:
        """The photo's own file name, or the one to give it if it has no file."""
        return self.name if self.has_file else f"{self.stem}.png"

    @property
    def names(self) -> list[str]:
        """The objects' names, each once, in order: the categories."""
        return list(dict.fromkeys(each.name for each in self.objects))


def safe_name(name: str) -> str:
    """A name without characters that mean something to file systems or shells.

    >>> safe_name("a cat / dog?")
    'a_cat_dog'
    """
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "image"


def as_json(content: object) -> bytes:
    """The bytes of a JSON file."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
