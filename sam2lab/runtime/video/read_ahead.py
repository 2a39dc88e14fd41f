"""Reads the next frames in a thread and prepares them, while the model works on this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
from PIL import Image

from sam2lab.runtime.engines.protocol import Float32
from sam2lab.runtime.video.frames import Frames
from sam2lab.runtime.video.kept_frames import Frame

T = TypeVar("T")


def frame_pixels(
    frame: Frame,
    input_size: tuple[int, int],
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> Float32:
    """Resize a frame (H, W, 3) to (3, *input_size) and normalise it, as upstream does for videos.

    Upstream resizes photos otherwise, in `images.preprocess`: with that, masks of a video had an
    IoU of 0.984 with upstream's (nano, 24 frames, random weights).

    >>> frame_pixels(np.full((2, 3, 3), 255, np.uint8), (1, 2), (0.5,) * 3, (0.25,) * 3)[0]
    array([[2., 2.]], dtype=float32)
    """
    height, width = input_size
    small = np.asarray(Image.fromarray(frame).resize((width, height)))
    # A channel has 256 values only, so that a table of their results gives the same bits sooner.
    values = (np.arange(256) / 255.0).astype(np.float32)
    pixels = np.empty((3, height, width), np.float32)
    for channel in range(3):
        table = (values - np.float32(mean[channel])) / np.float32(std[channel])
        np.take(table, small[..., channel], out=pixels[channel])
    return pixels


def read_ahead(
    frames: Frames, order: Iterable[int], prepare: Callable[[Frame], T], ahead: int = 2
) -> Generator[tuple[int, T], None, None]:
    """Yield (index, prepared frame) in `order`, while a thread prepares the next `ahead`.

    An error of a frame is raised where that frame's turn comes. Closing the iterator ends the
    thread.

    >>> from sam2lab.runtime.video.frames import open_frames
    >>> clip = open_frames([np.full((2, 2, 3), value, np.uint8) for value in range(9)])
    >>> list(read_ahead(clip, range(8, 5, -1), np.max))
    [(8, np.uint8(8)), (7, np.uint8(7)), (6, np.uint8(6))]
    """
    left = iter(order)
    waiting: deque[tuple[int, Future[T]]] = deque()
    with ThreadPoolExecutor(1, "read_ahead") as reader:

        def ask(count: int) -> None:
            for index in islice(left, count):
                waiting.append((index, reader.submit(_read, frames, index, prepare)))

        try:
            ask(ahead)
            while waiting:
                index, coming = waiting.popleft()
                prepared = coming.result()
                ask(1)
                yield index, prepared
        finally:
            reader.shutdown(cancel_futures=True)


def _read(frames: Frames, index: int, prepare: Callable[[Frame], T]) -> T:
    return prepare(frames[index])
