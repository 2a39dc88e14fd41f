"""Videos that Pillow reads: a folder of pictures, a list of them, or one animated file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from PIL import Image

from sam2lab.runtime import images
from sam2lab.runtime.images import ImageError, ImageLike
from sam2lab.runtime.video.kept_frames import Frame, FrameError, KeptFrames

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm"}


class PictureFrames(KeptFrames):
    """A list of pictures, each as `images.read` takes it; arrays stay where they are.

    `files` are the names of the pictures' files, for errors.
    """

    def __init__(
        self, pictures: Sequence[ImageLike], name: str, files: Sequence[str] | None = None
    ) -> None:
        self._pictures = pictures
        self._files = files
        super().__init__(name, len(pictures), fps=None)

    def _read(self, index: int) -> Frame:
        try:
            return images.eight_bit(images.read(self._pictures[index]))
        except ImageError as error:
            raise FrameError(f"{self._called(index)}: {error}") from error

    def _called(self, index: int) -> str:
        file = f" ({self._files[index]})" if self._files else ""
        return f"frame {index}{file} of {self.name}"


class AnimatedFrames(KeptFrames):
    """An animated GIF, WebP or PNG, or another file with several pictures, such as a TIFF.

    `fps` is that of the first frame, because only decoding tells how long the others are shown.
    """

    def __init__(self, opened: Image.Image, name: str) -> None:
        self._opened = opened
        self._next = 0
        # Of a WebP, only loading tells how long it is shown.
        self.name, self._count = name, _count(opened)
        self._decode(0)
        shown_ms = opened.info.get("duration")
        super().__init__(name, self._count, 1000 / shown_ms if shown_ms else None)

    def _read(self, index: int) -> Frame:
        # To go back, Pillow decodes everything from the beginning.
        for passed in range(self._next if self._next <= index else 0, index):
            if self._is_worth_keeping(passed, index):
                self._keep(passed, self._decode(passed))
        return self._decode(index)

    def _decode(self, index: int) -> Frame:
        try:
            self._opened.seek(index)
            frame = images.eight_bit(images.read(self._opened))
        # On a damaged file Pillow's readers raise almost anything.
        except Exception as error:
            self._next = len(self)
            raise FrameError(
                f"{self._called(index)} cannot be decoded ({error}); make the file anew"
            ) from error
        self._next = index + 1
        return frame

    def _called(self, index: int) -> str:
        return f"frame {index} of {self.name}"


def _count(opened: Image.Image) -> int:
    """How many pictures a file holds; of one that was cut short, with the one that was cut."""
    try:
        return getattr(opened, "n_frames", 1)
    # On a damaged file Pillow's readers raise almost anything.
    except Exception:
        whole = 0
        with suppress(Exception):
            while True:
                opened.seek(whole)
                opened.load()
                whole += 1
        return whole + 1


def folder_frames(folder: Path) -> PictureFrames:
    """The pictures of a folder, in the order of the numbers in their names.

    Where a picture's EXIF says how to hold it, it is turned; upstream leaves it as it lies.
    """
    files = picture_files(folder)
    return PictureFrames(files, folder.resolve().name, [file.name for file in files])


def picture_files(folder: Path) -> list[Path]:
    """The files of the pictures of a folder, in the order of their frames."""
    files = sorted(
        (
            file
            for file in folder.iterdir()
            # macOS puts files such as ._00000.jpg beside the pictures.
            if file.suffix.lower() in ENDINGS and not file.name.startswith(".")
        ),
        key=lambda file: _order(file.name),
    )
    if not files:
        raise FrameError(
            f"video: {str(folder)!r} holds no pictures; wanted a folder of JPEG or PNG files named "
            "by number, such as 00000.jpg, or the path of a video file"
        )
    for file, after in pairwise(files):
        if file.stem == after.stem:
            raise FrameError(
                f"video: {str(folder)!r} holds {file.name} and {after.name}; keep one picture a "
                "frame, and move masks to another folder"
            )
    return files


def _order(name: str) -> list[tuple[int, str]]:
    """A key that sorts names by their text and by the value of their numbers.

    >>> sorted(["10.jpg", "2.jpg", "a2.jpg", "a10.jpg"], key=_order)
    ['2.jpg', '10.jpg', 'a2.jpg', 'a10.jpg']
    """
    parts = re.split(r"(\d+)", name)
    return [(int(part) if part.isdigit() else -1, part) for part in parts]
