"""What all sources of frames share: numbers, checks, and a few frames kept in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from operator import index as whole_number
from threading import RLock

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.lru import BoundedMap

# uint8 (H, W, 3).
Frame = npt.NDArray[np.uint8]

# Enough for ten frames of 1080p, so that stepping back and forth decodes nothing anew. The bound in
# frames lets memory be flat after a second or two where frames are small.
KEPT_BYTES = 2**26
KEPT_FRAMES = 32


class FrameError(ValueError):
    """A video or one of its frames cannot be used; the message names it and the way out."""


class KeptFrames(ABC):
    """Frames by number, each checked against the size of the first; safe under threads.

    A subclass reads one frame in `_read` and says its name in `_called`. The frames used last are
    kept in memory, up to KEPT_FRAMES and KEPT_BYTES.
    """

    def __init__(self, name: str, count: int, fps: float | None) -> None:
        if not count:
            raise FrameError(f"video: {name} has no frames; wanted at least one")
        self.name = name
        self.fps = fps
        self._count = count
        self._kept: BoundedMap[int, Frame] = BoundedMap(KEPT_FRAMES, KEPT_BYTES)
        # Decoders have one position, and reading ahead is another thread.
        self._lock = RLock()
        self._size: tuple[int, int] | None = None
        self._size = self[0].shape[:2]

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Frame:
        """Frame `index` as RGB uint8 (H, W, 3), read-only; from the end where it is negative."""
        number = whole_number(index)
        if not -self._count <= number < self._count:
            # Python stops a loop over the frames at this error.
            raise IndexError(
                f"frame {number} of {self.name}: wanted a number from 0 to {self._count - 1}"
            )
        number %= self._count
        with self._lock:
            frame = self._kept.get(number)
            if frame is None:
                frame = self._keep(number, self._read(number))
            return frame

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of every frame, in pixels."""
        assert self._size is not None
        return self._size

    def _is_worth_keeping(self, passed: int, index: int) -> bool:
        """Whether a frame that is decoded on the way to another will still be kept there.

        A step back then finds it, which would otherwise decode the same frames once more.
        """
        height, width = self.size
        return index - passed < min(KEPT_FRAMES, KEPT_BYTES // (3 * height * width))

    def _keep(self, index: int, frame: Frame) -> Frame:
        """Check a frame that was read, and keep it."""
        height, width = frame.shape[:2]
        if self._size is not None and (height, width) != self._size:
            raise FrameError(
                f"{self._called(index)} is {width}x{height} pixels, the first frame "
                f"{self._size[1]}x{self._size[0]}; make them all one size, or split the video there"
            )
        # A view, because the array may be the user's own.
        frame = frame.view()
        frame.flags.writeable = False
        self._kept.put(index, frame)
        return frame

    @abstractmethod
    def _read(self, index: int) -> Frame:
        """Read one frame; a `FrameError` names it."""

    @abstractmethod
    def _called(self, index: int) -> str:
        """How an error names a frame, such as "frame 3 (00003.jpg) of clip"."""
