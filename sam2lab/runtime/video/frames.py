"""`open_frames` opens any kind of video as frames by number."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, runtime_checkable

from PIL import Image, UnidentifiedImageError

from sam2lab.runtime.images import ImageLike
from sam2lab.runtime.video.kept_frames import Frame, FrameError
from sam2lab.runtime.video.picture_frames import AnimatedFrames, PictureFrames, folder_frames
from sam2lab.runtime.video.video_files import VideoFile


@runtime_checkable
class Frames(Protocol):
    """The frames of a video by number, all of one size."""

    @property
    def name(self) -> str:
        """What the video is called, such as the name of its file."""
        ...

    @property
    def fps(self) -> float | None:
        """Frames a second, None where that is not known."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of every frame, in pixels."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Frame:
        """One frame as RGB uint8 (H, W, 3)."""
        ...


# A folder or a file, a file's bytes, pictures as `images.read` takes them, or opened frames.
VideoLike = str | os.PathLike[str] | bytes | Iterable[ImageLike] | Frames


def open_frames(video: VideoLike) -> Frames:
    """Open a video: a folder of pictures, a file, or a list or iterable of pictures.

    Pictures in a folder are in the order of the numbers in their names. Files are animated GIF,
    WebP and PNG, and, with the extra `video`, whatever FFmpeg reads: mp4, mov, webm. Frames are
    read when they are asked for, and a few are kept. Pictures that were passed stay in memory: an
    endless source is for `VideoStream`.

    >>> import numpy as np
    >>> frames = open_frames(np.zeros((5, 48, 64, 3), np.uint8))
    >>> len(frames), frames.size, frames[4].shape
    (5, (48, 64), (48, 64, 3))
    """
    if isinstance(video, Frames):
        return video
    if isinstance(video, bytes):
        return _open_file(video, f"a video of {len(video)} bytes")
    if isinstance(video, (str, os.PathLike)):
        return _open_path(video)
    if isinstance(video, Image.Image) or not isinstance(video, Iterable):
        raise FrameError(
            f"video is {type(video).__name__}; wanted the path of a folder or a file, or a list "
            "of pictures"
        )
    pictures = list(video)
    return PictureFrames(pictures, f"a list of {len(pictures)} pictures")


def _open_path(video: str | os.PathLike[str]) -> Frames:
    path = Path(video).expanduser()
    if str(video).startswith(("http://", "https://")):
        raise FrameError(
            f"video: {str(video)!r} is not downloaded here; download it, pass the file"
        )
    if path.is_dir():
        return folder_frames(path)
    if not path.is_file():
        raise FrameError(
            f"video: there is no file or folder {str(video)!r}; check the spelling, and the folder "
            "where relative paths start, os.getcwd()"
        )
    if not path.stat().st_size:
        raise FrameError(f"video: {str(video)!r} is empty; copy the file again")
    return _open_file(path, path.name)


def _open_file(source: Path | bytes, name: str) -> Frames:
    """Open a file with Pillow if Pillow knows it, else with PyAV."""
    try:
        opened = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
    except UnidentifiedImageError:
        return VideoFile(source, name)
    # On a damaged file Pillow's readers raise almost anything.
    except Exception as error:
        raise FrameError(f"video: {name} cannot be opened ({error}); make the file anew") from error
    return AnimatedFrames(opened, name)
