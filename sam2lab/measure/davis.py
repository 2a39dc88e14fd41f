"""Read folders in the format of DAVIS 2017, which most sets of tracked objects have.

`JPEGImages/480p/<video>/00000.jpg` are frames, `Annotations/480p/<video>/00000.png` their labels,
and `ImageSets/2017/val.txt` lists the videos of a split. The folder of the resolution and the
lists may be missing. Labels may be missing for some frames, as in YouTube-VOS.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sam2lab import settings
from sam2lab.measure.videos import VOID, Labels
from sam2lab.runtime.images import ImageError
from sam2lab.runtime.video.picture_frames import picture_files

FRAMES, LABELS, LISTS = "JPEGImages", "Annotations", "ImageSets"
RESOLUTIONS = ("480p", "Full-Resolution")


@dataclass(frozen=True)
class DavisVideo:
    """One video of a folder: the folder of its `frames`, and the files of its labels by frame."""

    name: str
    frames: Path
    files: dict[int, Path]

    @property
    def annotated(self) -> Sequence[int]:
        return list(self.files)

    @cached_property
    def key(self) -> str:
        """Names and sizes of all files stand for their content, which takes long to read."""
        files = [*picture_files(self.frames), *self.files.values()]
        told = [self.name, *(f"{file.name} {file.stat().st_size}" for file in files)]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    def labels(self, frame: int) -> Labels:
        labels = _read_labels(self.files[frame])
        return (labels == VOID).astype(np.uint8) if self._is_black_and_white else labels

    @cached_property
    def _is_black_and_white(self) -> bool:
        """Whether 255 is the one object, as in DAVIS 2016, and not `VOID`."""
        first = _read_labels(next(iter(self.files.values())))
        return first.max() == VOID and not np.isin(first, (0, VOID), invert=True).any()


class DavisFolder(Sequence[DavisVideo]):
    """The videos of a folder, read when asked for.

    `split` names a list in `ImageSets/2017`; by default that is "val" if it is there, else all
    videos are taken. `resolution` is by default "480p" if it is there, then "Full-Resolution".

    ```python
    table = tracking_study({"tiny": "models/tiny"}, DavisFolder("DAVIS"))
    ```
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        split: str | None = None,
        resolution: str | None = None,
    ) -> None:
        self.folder = Path(folder)
        images, labels = self._homes(resolution)
        names = self._names(split, labels)
        if not names:
            raise ValueError(f"folder {self.folder} has no videos in {labels}")
        self._videos = [_video(name, images / name, labels / name) for name in names]

    def __len__(self) -> int:
        return len(self._videos)

    def __getitem__(self, index: Any) -> Any:
        return self._videos[index]

    def _homes(self, resolution: str | None) -> tuple[Path, Path]:
        """The folders of all frames and of all labels."""
        homes = self.folder / FRAMES, self.folder / LABELS
        if not all(home.is_dir() for home in homes):
            raise ValueError(
                f"folder is {str(self.folder)!r}; wanted one in the format of DAVIS, with "
                f"{FRAMES}/<video>/00000.jpg and {LABELS}/<video>/00000.png in it"
            )
        for name in RESOLUTIONS if resolution is None else [resolution]:
            if all((home / name).is_dir() for home in homes):
                return homes[0] / name, homes[1] / name
        if resolution is not None:
            raise ValueError(
                f"resolution is {resolution!r}, which is not in both {FRAMES} and {LABELS} of "
                f"{self.folder}"
            )
        return homes

    def _names(self, split: str | None, labels: Path) -> list[str]:
        """The names of the videos of a split."""
        lists = self.folder / LISTS
        lists = lists / "2017" if (lists / "2017").is_dir() else lists
        file = lists / f"{'val' if split is None else split}.txt"
        if file.is_file():
            return file.read_text(encoding="utf-8").split()
        if split is not None:
            there = ", ".join(sorted(path.stem for path in lists.glob("*.txt"))) or "none"
            raise ValueError(f"split is {split!r}; {lists} lists {there}")
        return sorted(path.name for path in labels.iterdir() if path.is_dir())


def shipped_videos() -> DavisFolder:
    """The clip that comes with sam2lab, with exact masks of its three objects.

    >>> (clip,) = shipped_videos()
    >>> len(clip.annotated), clip.labels(0).shape
    (40, (240, 320))
    """
    return DavisFolder(settings.data_folder() / "clips")


def _video(name: str, images: Path, labels: Path) -> DavisVideo:
    for place in (images, labels):
        if not place.is_dir():
            raise ValueError(f"folder has no {place}, but {name!r} is one of its videos")
    frames = [path.stem for path in picture_files(images)]
    files = {path.stem: path for path in labels.glob("[!.]*.png")}
    unknown = sorted(set(files) - set(frames))
    if unknown:
        raise ValueError(f"{labels} has labels of frame {unknown[0]}, which is not in {images}")
    if len(files) < 2:
        raise ValueError(
            f"{labels} has labels of {len(files)} frames; wanted those of more than the first, "
            "without which nothing can be measured. Those of DAVIS's test sets are not public"
        )
    return DavisVideo(name, images, {i: files[s] for i, s in enumerate(frames) if s in files})


def _read_labels(file: Path) -> Labels:
    try:
        with Image.open(file) as picture:
            mode, labels = picture.mode, np.array(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"labels {file} cannot be read: {error}") from None
    if mode not in ("P", "L"):
        raise ImageError(
            f"labels {file} have mode {mode!r}; wanted 'P' or 'L', where a pixel is the number of "
            "its object"
        )
    return labels
