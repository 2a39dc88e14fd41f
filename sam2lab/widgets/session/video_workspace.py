"""The video of a session, the frame that is shown, and how engines follow objects through it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from sam2lab.runtime.arguments import whole
from sam2lab.runtime.images import RGB
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.runtime.video.frames import VideoLike
from sam2lab.runtime.video.state import VideoState
from sam2lab.widgets.session.base import BaseSession
from sam2lab.widgets.session.clip import Clip, open_clip
from sam2lab.widgets.session.history import History
from sam2lab.widgets.session.prompts import Prompt
from sam2lab.widgets.session.tracks import Track, Tracks
from sam2lab.widgets.session.video_engines import VideoEngines

NO_VIDEO = "no video is open; open one with open_video(...)"


class VideoWorkspace(BaseSession[Tracks, Track]):
    """The base of `VideoSession`, which adds answers, files and formats."""

    def __init__(
        self, segmenters: Segmenter | Mapping[str, Segmenter], video: VideoLike | None = None
    ) -> None:
        self._engines = VideoEngines(segmenters)
        super().__init__(self._engines)
        self._clip: Clip | None = None
        self._steps: History[Tracks] = History(Tracks.fresh())
        self._shown: tuple[int, RGB] | None = None
        self._propagation: object | None = None
        if video is not None:
            self.open_video(video)

    @property
    def video(self) -> Clip | None:
        """The video that is open: its name, count of frames, size and frames a second."""
        return self._clip

    @property
    def frame(self) -> int:
        """The index of the current frame."""
        return self._current[0]

    @property
    def photo(self) -> RGB:
        """The current frame's pixels, (H, W, 3), RGB."""
        return self._current[1]

    @property
    def is_propagating(self) -> bool:
        """Whether a propagation goes on."""
        return self._propagation is not None

    def open_video(self, video: VideoLike, name: str | None = None) -> None:
        """Open a video, without any objects; `name` is for one that has no file name."""
        clip, first = open_clip(video, name)
        with self._lock:
            self._turn_to(clip, History(Tracks.fresh()), (0, first))
        self._tell({"video", "frame", "objects", "active", "prompts", "masks"})

    def go_to(self, index: int) -> None:
        """Make another frame the current one."""
        index = self._frame_index("index", index)
        self._shown = index, self._open_clip.frames[index]
        self._tell({"frame"})

    def use_engine(self, name: str) -> None:
        """Let another engine answer: it is told the same prompts, its masks are its own."""
        self._engines.check(name)
        with self._lock:
            if self._clip:
                self._history.present = self._engines.told(name, self.state, self._clip.frames)
            self._engine, self._propagation = name, None
        self._tell({"engine", "masks"})

    def propagate(
        self, start: int | None = None, frames: int | None = None, reverse: bool = False
    ) -> Iterator[int]:
        """Follow all objects from frame `start` on, and give the index of each frame when done.

        `start` is by default the first frame with prompts, or the last one where `reverse`;
        `frames` is how many to go at most beyond it. Closing the iterator, or `cancel`, or any
        change of prompts ends it and keeps what was done, which is one step to undo. An engine
        that fails keeps it too. The iterator only works while it is asked for the next frame.
        """
        count = None if frames is None else whole("frames", frames, 0)
        prompted = [frame for _, frame in self.state.prompts]
        if not prompted or not self._ready().objects:
            raise ValueError("there is nothing to follow: click on an object or draw a box")
        first = max(prompted) if reverse else min(prompted)
        start = first if start is None else self._frame_index("start", start)
        return self._propagate(start, count, reverse)

    def cancel(self) -> None:
        """End a propagation, from any thread; the frame that is being worked on is dropped."""
        self._propagation = None

    def _propagate(self, start: int, count: int | None, reverse: bool) -> Iterator[int]:
        with self._lock:
            self._ready()
            name = self._engine
            before = self.state.followed_by(name)
            token = self._propagation = object()
        ours, is_a_step = replace(before), False
        try:
            for frame, engine_state in self._engines.follow(name, before, start, count, reverse):
                with self._lock:
                    if self._propagation is not token:
                        return
                    # Others may look while this goes on.
                    ours.state = engine_state
                    if not is_a_step:
                        self._history.do(self.state.having(name, ours))
                        is_a_step = True
                self._tell({"masks"})
                yield frame
            with self._lock:
                if self._propagation is not token:
                    return
                here = self.state
                self._ready()
            if self.state is not here:
                self._tell({"masks"})
        finally:
            if self._propagation is token:
                self._propagation = None

    def _ready(self) -> VideoState:
        """Make the engine able to go on from the present state, and return its state."""
        with self._lock:
            name, frames = self._engine, self._open_clip.frames
            self._history.present = self._engines.ready(name, self.state, frames)
            engine_state = self.state.followed_by(name).state
            assert engine_state is not None
            return engine_state

    @property
    def _open_clip(self) -> Clip:
        if self._clip is None:
            raise ValueError(NO_VIDEO)
        return self._clip

    @property
    def _current(self) -> tuple[int, RGB]:
        if self._shown is None:
            raise ValueError(NO_VIDEO)
        return self._shown

    @property
    def _history(self) -> History[Tracks]:
        if self._clip is None:
            raise ValueError(NO_VIDEO)
        return self._steps

    @property
    def is_open(self) -> bool:
        return self._clip is not None

    def _prompts_in(self, state: Tracks) -> tuple[Prompt, ...]:
        return state.item().prompts.get(self.frame, ())

    def _with_prompts(self, state: Tracks, prompts: tuple[Prompt, ...]) -> Tracks:
        return state.with_prompts(self.frame, prompts)

    def _settle(self, state: Tracks) -> tuple[Tracks, set[str]]:
        here, name = self.state, self._engine
        state = self._engines.told(name, state, self._open_clip.frames)
        parts = {
            "objects": state.objects != here.objects,
            "active": state.active != here.active,
            "prompts": self._prompts_in(state) != self._prompts_in(here),
            "masks": state.followed.get(name) is not here.followed.get(name),
        }
        if parts["masks"]:
            self._propagation = None
        return state, {part for part, differs in parts.items() if differs}

    def _turn_to(self, clip: Clip, steps: History[Tracks], shown: tuple[int, RGB]) -> None:
        self._clip, self._steps, self._shown = clip, steps, shown
        self._propagation = None

    def _frame_index(self, name: str, index: int | None) -> int:
        if index is None:
            return self.frame
        return whole(name, index, 0, self._open_clip.count - 1)
