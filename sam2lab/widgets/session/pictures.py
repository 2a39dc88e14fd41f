"""The photos of a session: where each came from, and what was done to it."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt
from PIL import Image

from sam2lab.runtime import images
from sam2lab.runtime.embedding import content_key
from sam2lab.runtime.images import RGB, ImageLike
from sam2lab.widgets.session.history import History


@dataclass(frozen=True, eq=False)
class Picture:
    """A photo by its content: `key` names its pixels, `size` is their (height, width).

    `source` is what it was opened from, and can be opened from again.
    """

    key: str
    name: str
    size: tuple[int, int]
    source: ImageLike

    @property
    def path(self) -> str | None:
        """The file that it was opened from, if any."""
        return os.fspath(self.source) if isinstance(self.source, (str, os.PathLike)) else None

    def read(self) -> RGB:
        """The pixels again, checked to be the same."""
        rgb = images.read(self.source)
        if content_key(rgb) != self.key:
            raise ValueError(
                f"the image {self.name!r} is not what it was when it was opened first; open it "
                "as a new one with open_image(...), or bring the old file back"
            )
        return rgb


@dataclass
class Page:
    """A photo, and all that was done to it."""

    picture: Picture
    history: History = field(default_factory=History)


def open_picture(image: ImageLike, name: str | None = None) -> tuple[Picture, RGB]:
    """Read an image; its name is its file's, unless another is given.

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


def as_png(pixels: npt.NDArray[Any]) -> bytes:
    """Pixels of 8 bits (grey, RGB, RGBA) or 16 (grey) as a PNG file, which loses nothing.

    >>> import numpy as np
    >>> image = Image.open(io.BytesIO(as_png(np.full((2, 3), 300, np.uint16))))
    >>> image.size, image.getpixel((0, 0))
    ((3, 2), 300)
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()
