"""Pixels are upstream's bit for bit; the reading thread is bounded and ends."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sam2.utils.misc import load_video_frames

from sam2lab.runtime.video.frames import FrameError, open_frames
from sam2lab.runtime.video.read_ahead import frame_pixels, read_ahead

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_pixels_are_those_of_upstream(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(2):
        small = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8))
        small.resize((120, 90)).save(tmp_path / f"{number}.jpg")
    theirs, _, _ = load_video_frames(str(tmp_path), 64, offload_video_to_cpu=True)
    for frame, expected in zip(open_frames(tmp_path), theirs, strict=True):
        assert np.array_equal(frame_pixels(frame, (64, 64), MEAN, STD), expected.numpy())


def test_a_side_may_be_longer_than_the_other() -> None:
    assert frame_pixels(np.zeros((9, 9, 3), np.uint8), (32, 48), MEAN, STD).shape == (3, 32, 48)


class Noted:
    """Frames that note which of them were read; the third is broken."""

    name, fps, size = "noted", None, (1, 1)

    def __init__(self) -> None:
        self.read: list[int] = []

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> np.ndarray:
        if index == 3:
            raise FrameError("frame 3 of noted is broken")
        self.read.append(index)
        return np.full((1, 1, 3), index, np.uint8)


def threads() -> int:
    return sum(thread.name.startswith("read_ahead") for thread in threading.enumerate())


def test_an_error_comes_at_its_frame() -> None:
    coming = read_ahead(Noted(), range(20), np.max)
    assert [next(coming) for _ in range(3)] == [(0, 0), (1, 1), (2, 2)]
    with pytest.raises(FrameError, match="frame 3"):
        next(coming)
    assert threads() == 0


def test_few_frames_are_read_ahead_and_closing_ends_the_thread() -> None:
    frames = Noted()
    coming = read_ahead(frames, range(19, 3, -1), np.max, ahead=2)
    assert next(coming) == (19, 19)
    coming.close()
    assert threads() == 0
    assert set(frames.read) <= {19, 18, 17}


def test_the_next_frame_is_read_while_this_one_is_used() -> None:
    frames = Noted()
    is_read = threading.Event()

    def prepare(frame: np.ndarray) -> int:
        if frame.max() == 6:
            is_read.set()
        return int(frame.max())

    coming = read_ahead(frames, [5, 6, 7], prepare)
    next(coming)
    assert is_read.wait(5)
    assert [index for index, _ in coming] == [6, 7]


def test_an_empty_order_reads_nothing() -> None:
    assert list(read_ahead(Noted(), [], np.max)) == []
