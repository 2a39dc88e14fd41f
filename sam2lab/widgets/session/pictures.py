"""The photos of a session: where each comes from, and the history of work on it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from sam2lab.runtime import images
from sam2lab.runtime.embedding import content_key
from sam2lab.runtime.images import RGB, ImageLike
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
class History:
    """Undo and redo without limit.

    `past` holds the states before the present one and `future` the undone ones, the nearest last
    in each. States share the objects that they have in common, so a long history is small.

    >>> history = History()
    >>> start = history.present
    >>> history.do(start.begun())
    >>> history.undo()
    >>> history.present is start, len(history.future)
    (True, 1)
    """

    present: State = field(default_factory=State.fresh)
    past: list[State] = field(default_factory=list)
    future: list[State] = field(default_factory=list)

    def do(self, state: State) -> None:
        """Go on to `state` and forget what was undone."""
        self.past.append(self.present)
        self.present = state
        self.future.clear()

    def undo(self) -> None:
        """Go back one state."""
        self.future.append(self.present)
        self.present = self.past.pop()

    def redo(self) -> None:
        """Go forward one state."""
        self.past.append(self.present)
        self.present = self.future.pop()


@dataclass
class Page:
    """A photo and the history of work on it."""

    picture: Picture
    history: History = field(default_factory=History)


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
