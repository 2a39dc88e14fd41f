"""Videos that FFmpeg reads, through PyAV: files, in any order of frames, and live sources."""

from __future__ import annotations

import io
import sys
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sam2lab.runtime.requirements import require
from sam2lab.runtime.video.kept_frames import Frame, FrameError, KeptFrames

AS_FOLDER = "make pictures of it and pass their folder: ffmpeg -i VIDEO FOLDER/%05d.jpg"
# The number of no frame, so that the next one is looked for from a key frame.
NOWHERE = sys.maxsize
ANEW = "copy the file again, or make a new one: ffmpeg -i VIDEO mended.mp4"


class VideoFile(KeptFrames):
    """The frames of a video file, exact by number, and upright as a phone's rotation tells.

    Opening it reads the file once without decoding, to know the time of every frame. A frame is
    decoded on from the frame that was decoded last, or from the key frame before it.
    """

    def __init__(self, source: Path | bytes, name: str) -> None:
        require(f"{name}, a video file,", ["av"], AS_FOLDER)
        self.name = name
        self._source = source
        self._stream = _open(source, name)
        rate = self._stream.average_rate
        self._table = _timetable(self._stream)
        self._numbers = {time: number for number, time in enumerate(self._table.times)}
        self._decoding, self._next = self._decode_from(0), 0
        count = self._table.count
        if not self._table.times and count:
            # Frames without times can only be counted.
            count = sum(1 for _ in self._decoding)
            self._next = count
        super().__init__(name, count, float(rate) if rate else None)

    def _read(self, index: int) -> Frame:
        keys = self._table.keys
        before = bisect_right(keys, index)
        frame = None
        if keys[before - 1] <= self._next <= index:
            frame = self._decode(index)
        # A key frame may be damaged, so the one before it is a second chance. Where a file cannot
        # be read from its middle, the beginning is the last one.
        chances = [*reversed(keys[max(0, before - 2) : before]), 0]
        for key in dict.fromkeys(chances):
            if frame is None:
                self._decoding, self._next = self._decode_from(key), key
                frame = self._decode(index)
        if frame is None:
            raise FrameError(
                f"{self._called(index)} cannot be decoded, the file is damaged or cut short; {ANEW}"
            )
        return frame

    def _decode(self, index: int) -> Frame | None:
        """Decode on to a frame; None where it does not come."""
        for number, decoded in self._decoding:
            self._next = number + 1
            if number == index:
                return None if decoded.is_corrupt else _upright(decoded)
            if number > index:
                return None
            if self._is_worth_keeping(number, index) and not decoded.is_corrupt:
                self._keep(number, _upright(decoded))
        self._next = NOWHERE
        return None

    def _decode_from(self, key: int) -> Iterator[tuple[int, Any]]:
        """Decode from a key frame to the end; yields each frame with its number."""
        import av

        self._go_to(key)
        count = 0
        for packet in self._stream.container.demux(self._stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                # Its frame does not come, and later ones may.
                continue
            for frame in frames:
                number = self._numbers.get(frame.pts) if self._numbers else count
                count += 1
                if number is not None:
                    yield number, frame

    def _go_to(self, key: int) -> None:
        import av

        if key:
            try:
                self._stream.container.seek(self._table.times[key], stream=self._stream)
                return
            except av.FFmpegError:
                # This kind of file can only be read from its beginning.
                pass
        self._stream.container.close()
        self._stream = _open(self._source, self.name)

    def _called(self, index: int) -> str:
        return f"frame {index} of {self.name}"


def live_frames(source: str, file_format: str | None = None) -> Iterator[Frame]:
    """Yield the frames of a camera, a network address or a file as they come, RGB (H, W, 3).

    `file_format` is FFmpeg's name of what reads the source. A camera is `"/dev/video0"` on Linux,
    `("0", "avfoundation")` on macOS, and `("video=NAME", "dshow")` on Windows. Closing the
    iterator closes the source.

    ```python
    for image in live_frames("/dev/video0"):
        masks, object_ids, state = stream.track(image, state)
    ```
    """
    require(f"{source}, a live source,", ["av"])
    if file_format is None and source.startswith("/dev/video"):
        file_format = "v4l2"
    stream = _open(source, source, file_format)
    try:
        for frame in stream.container.decode(stream):
            yield _upright(frame)
    finally:
        stream.container.close()


@dataclass(frozen=True)
class _Timetable:
    """The times of all frames in order, the numbers of key frames, and the number of frames.

    `times` is empty where the file does not tell them. `count` is larger than their number where
    the file is shorter than its header promises.
    """

    times: list[int]
    keys: list[int]
    count: int


def _timetable(stream: Any) -> _Timetable:
    times: list[int | None] = []
    keys = set()
    hidden = 0
    for packet in stream.container.demux(stream):
        if not packet.size:
            continue
        # Of VP8, a bit says whether the frame is shown; others are only referred to.
        is_shown = stream.codec_context.name != "vp8" or memoryview(packet)[0] >> 4 & 1
        if packet.is_discard or not is_shown:
            hidden += 1
            continue
        times.append(packet.pts)
        if packet.is_keyframe:
            keys.add(packet.pts)
    known = sorted({time for time in times if time is not None})
    if len(known) < len(times):
        return _Timetable([], [0], len(times))
    numbers = [number for number, time in enumerate(known) if time in keys]
    # Only mp4 and mov say exactly how many there are.
    exact = "mp4" in stream.container.format.name
    promised = stream.frames - hidden if exact else 0
    return _Timetable(known, sorted({0, *numbers}), max(len(known), promised))


def _open(source: Path | bytes | str, name: str, file_format: str | None = None) -> Any:
    """The first video stream of a source that has been opened."""
    import av

    try:
        place = io.BytesIO(source) if isinstance(source, bytes) else str(source)
        container = av.open(place, format=file_format)
    except (av.FFmpegError, ValueError) as error:
        raise FrameError(f"video: {name} cannot be opened ({error}); {ANEW}") from error
    if not container.streams.video:
        raise FrameError(f"video: {name} has no picture, only sound or data; pass another file")
    return container.streams.video[0]


def _upright(frame: Any) -> Frame:
    rgb = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(rgb, frame.rotation // 90))
