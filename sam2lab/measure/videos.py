"""Videos whose objects are known in some of their frames.

Labels (H, W) are uint8: 0 is no object, 255 is `VOID`, all else is the number of an object. So
objects do not overlap, as in DAVIS.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.arguments import whole
from sam2lab.runtime.masks import Mask
from sam2lab.runtime.video.frames import open_frames

Labels = npt.NDArray[np.uint8]

VOID = 255
"""The label of pixels that nobody could tell apart; they count as nothing at all."""


class LabelledVideo(Protocol):
    """A video with the truth about it; pickle takes it, so that it can travel to a worker."""

    @property
    def name(self) -> str:
        """Its name among others."""
        ...

    @property
    def frames(self) -> Any:
        """What `VideoPredictor.init_state` takes."""
        ...

    @property
    def annotated(self) -> Sequence[int]:
        """The frames whose labels are known, in order."""
        ...

    @property
    def key(self) -> str:
        """Equal keys mean the same frames and labels."""
        ...

    def labels(self, frame: int) -> Labels:
        """The labels (H, W) of an annotated frame."""
        ...


class Clip:
    """Frames (T, H, W, 3) uint8 with the masks (T, N, H, W) of N objects, all in memory.

    Objects are numbered from 1 on. Where masks overlap, the later one lies above.
    """

    def __init__(self, name: str, frames: npt.NDArray[np.uint8], masks: npt.NDArray[np.bool_]):
        if masks.ndim != 4 or len(masks) != len(frames) or masks.shape[2:] != frames.shape[1:3]:
            raise ValueError(
                f"masks has shape {masks.shape} and frames {frames.shape}; wanted (T, N, H, W) "
                "and (T, H, W, 3)"
            )
        self.name = name
        self.frames = list(frames)
        self.annotated = range(len(frames))
        self._labels = np.zeros(frames.shape[:3], np.uint8)
        for i in range(masks.shape[1]):
            self._labels[masks[:, i]] = i + 1
        self.key = hashlib.sha256(frames.tobytes() + self._labels.tobytes()).hexdigest()

    def labels(self, frame: int) -> Labels:
        return self._labels[frame]


def thinned(video: LabelledVideo, step: int) -> Clip:
    """Every `step`-th frame of a video, in memory: things move faster, and less is computed.

    Frames without labels, and pixels of which nobody knows what they show, are left out.

    >>> from sam2lab.measure import shipped_videos
    >>> len(thinned(shipped_videos()[0], 8).frames)
    5
    """
    frames, step = open_frames(video.frames), whole("step", step, least=1)
    numbers = [number for number in video.annotated if number % step == 0]
    labels = np.stack([video.labels(number) for number in numbers])
    highest = labels[labels != VOID].max()
    masks = np.stack([labels == 1 + i for i in range(highest)], axis=1)
    return Clip(video.name, np.stack([frames[number] for number in numbers]), masks)


class Appearance(NamedTuple):
    """Where an object is seen first: in `frame`, as `mask` (H, W)."""

    frame: int
    mask: Mask


def appearances(video: LabelledVideo) -> dict[int, Appearance]:
    """The first annotated frame of every object of a video, by the object's number."""
    found: dict[int, Appearance] = {}
    for frame in video.annotated:
        labels = video.labels(frame)
        for number in np.flatnonzero(np.bincount(labels.ravel(), minlength=256)).tolist():
            if number not in (0, VOID, *found):
                found[number] = Appearance(frame, labels == number)
    return dict(sorted(found.items()))
