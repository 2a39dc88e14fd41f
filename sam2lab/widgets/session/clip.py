"""The video of a session: its frames, and what identifies it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sam2lab.runtime.embedding import content_key
from sam2lab.runtime.images import RGB
from sam2lab.runtime.video.frames import Frames, VideoLike, open_frames


@dataclass(frozen=True, eq=False)
class Clip:
    """A video of `count` frames of `size` (height, width), `fps` a second if that is known.

    `key` is the digest of its first frame. `path` is where it was opened from, if it has a place.
    """

    name: str
    count: int
    size: tuple[int, int]
    fps: float | None
    key: str
    path: str | None
    frames: Frames


def open_clip(video: VideoLike, name: str | None = None) -> tuple[Clip, RGB]:
    """Open what `open_frames` opens, and read its first frame.

    Unless a name is given, a video is called like its file, and pictures in a list by their size.

    >>> import numpy as np
    >>> clip, first = open_clip([np.zeros((3, 4, 3), np.uint8)])
    >>> clip.name, clip.count, clip.path
    ('video 4x3', 1, None)
    """
    path = os.path.abspath(video) if isinstance(video, (str, os.PathLike)) else None
    frames = open_frames(video)
    first = frames[0]
    height, width = frames.size
    if path:
        called = Path(path).name
    else:
        called = frames.name if frames is video else f"video {width}x{height}"
    about = (name or called, len(frames), (height, width), frames.fps, content_key(first))
    return Clip(*about, path, frames), first
