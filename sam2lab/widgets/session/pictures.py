"""The photos of a session: where each comes from, and the history of work on it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from sam2lab.runtime import images
from sam2lab.runtime.embedding import content_key
from sam2lab.runtime.images import RGB, ImageLike
from sam2lab.widgets.session.history import History
from sam2lab.widgets.session.objects import State


@dataclass(frozen=True, eq=False)
class Picture:
    """A photo, identified by its pixels: `key` is their digest, `size` is (height, width).

    `source` is what the photo was opened from and can be read from again.
    """

    key: str
    name: str
    size: tuple[int, int]
    source: ImageLike

    @property
    def path(self) -> str | None:
        """The path of the file that it was opened from, if any."""
        return os.fspath(self.source) if isinstance(self.source, (str, os.PathLike)) else None

    def read(self) -> RGB:
        """Read the pixels again and check that they are the same."""
        rgb = images.read(self.source)
        if content_key(rgb) != self.key:
            raise ValueError(
                f"the image {self.name!r} is not what it was when it was opened first; open it "
                "as a new one with open_image(...), or bring the old file back"
            )
        return rgb


@dataclass
class Page:
    """A photo and the history of work on it."""

    picture: Picture
    history: History[State] = field(default_factory=lambda: History(State.fresh()))


def open_picture(image: ImageLike, name: str | None = None) -> tuple[Picture, RGB]:
    """Read an image; unless a name is given, it is called like its file.

    >>> import numpy as np
    >>> picture, rgb = open_picture(np.zeros((3, 4), np.uint8))
    >>> picture.name, picture.size, picture.path
    ('image 4x3', (3, 4), None)
    """
    rgb = images.read(image)
    height, width = rgb.shape[:2]
    if isinstance(image, (str, os.PathLike)):
        # The working directory may change before the file is read again.
        image = os.path.abspath(image)
        name = name or Path(image).name
    return Picture(content_key(rgb), name or f"image {width}x{height}", (height, width), image), rgb
