"""A session on a video: objects pointed out on any frame, and followed through the others."""

from __future__ import annotations

import os
import warnings

from sam2lab.runtime.masks import iou
from sam2lab.widgets.formats.annotated import Files
from sam2lab.widgets.formats.annotated_video import AnnotatedVideo, FollowedObject
from sam2lab.widgets.formats.table import video_format_of
from sam2lab.widgets.session import video_storage
from sam2lab.widgets.session.answers import Disagreement
from sam2lab.widgets.session.followed import VideoAnswer
from sam2lab.widgets.session.history import History
from sam2lab.widgets.session.packed import PackedMask
from sam2lab.widgets.session.prompts import Prompt, point_on
from sam2lab.widgets.session.timeline import Timeline
from sam2lab.widgets.session.video_workspace import VideoWorkspace


class VideoSession(VideoWorkspace):
    """Objects in a video, pointed out by prompts on any frame and followed by one engine at a time.

    `segmenters` is one Segmenter, or several by the names that `use_engine` takes. `video` is
    anything that `open_frames` opens. Coordinates are (x, y) in pixels of a frame; frames are
    counted from 0; object ids are those of `objects`.

    Prompts are added on the current `frame`, and answered there at once. `propagate` follows all
    objects from frame to frame. Prompts on a frame that was tracked correct it; the frames after
    it change when `propagate` comes through again.

    An action is done completely, or it raises and changes nothing: a `ValueError` for wrong
    arguments, `EngineFailed` when an engine fails. A propagation that fails or is cancelled keeps
    the frames that are done. Everything but the choice of video, frame, engine and mode can be
    undone; a propagation is one step. Each engine has masks of its own: after a change of engine
    the prompts are told to it, and it has still to propagate.

    All methods may be called from any thread. A propagation holds nobody up: reading, looking at
    other frames, renaming and hiding go on beside it, and what changes prompts or masks ends it.
    Listeners are called in the thread that acted.

    ```python
    session = VideoSession(open_segmenter("nano"), "dog.mp4")
    session.add_point(180, 200)
    for frame in session.propagate():
        print(frame, session.answer(frame=frame).area)
    session.go_to(12)
    session.add_point(150, 90, positive=False)
    for frame in session.propagate(start=12):
        ...
    session.export("davis")
    ```
    """

    def prompts_at(self, object_id: int, frame: int) -> tuple[Prompt, ...]:
        """An object's prompts on a frame, in the order of time."""
        return self.state.item(object_id).prompts.get(self._frame_index("frame", frame), ())

    def answer(self, object_id: int | None = None, frame: int | None = None) -> VideoAnswer | None:
        """The current engine's answer about an object, by default the active one, on a frame.

        None where the object is not tracked: neither prompted there nor reached by `propagate`.
        """
        state, name = self.state, self._engine
        key = state.item(object_id).id, self._frame_index("frame", frame)
        return self._engines.answer(name, state.followed_by(name), key, self._open_clip.size)

    def preview(self, x: float, y: float, positive: bool | None = None) -> PackedMask | None:
        """The mask that a click here would give the active object; the click is not added.

        None where a negative click has nothing to take away from.
        """
        clip, frame = self._open_clip, self.frame
        point = point_on(clip.size, x, y, self._sign(positive))
        self._ready()
        state = self.state
        prompts = (*state.item().prompts.get(frame, ()), point)
        tried = state.with_prompts(frame, prompts)
        return self._engines.preview(self._engine, tried, frame, clip)

    def timeline(self, object_id: int | None = None) -> Timeline:
        """Where an object, by default the active one, is present, prompted, corrected, unsure."""
        state = self.state
        followed, item = state.followed_by(self._engine), state.item(object_id)
        count = self._open_clip.count
        return Timeline.of(count, self._engines.scores(followed, item.id, count))

    def disagreement(self, other: str, object_id: int | None = None) -> Disagreement | None:
        """Compare the current engine's mask on the current frame with that of an engine `other`.

        None where either has no mask there; `other` has those of prompts, and of frames through
        which it has propagated.
        """
        self._engines.check(other)
        clip = self._open_clip
        with self._lock:
            self._history.present = state = self._engines.told(other, self.state, clip.frames)
        key = state.item(object_id).id, self.frame
        ours, theirs = (
            self._engines.answer(name, state.followed_by(name), key, clip.size)
            for name in (self._engine, other)
        )
        if ours is None or theirs is None:
            return None
        a, b = ours.mask, theirs.mask
        return Disagreement(a & ~b, b & ~a, iou(a, b))

    def save(self, path: str | os.PathLike[str], *, with_masks: bool = True) -> None:
        """Write a file of objects, prompts and, unless told otherwise, what all engines made.

        That is masks and memories: each object on each frame takes 0.13 MB with nano, 0.8 MB with
        tiny at 1024x1024. Undo and redo are in it too, with what was followed before.
        """
        with self._lock:
            steps = History.of(self._history.states, len(self._history.past))
            saved = video_storage.Saved(self._engine, self._mode, self.frame, steps)
            clip = self._open_clip
        video_storage.write(path, clip, saved, with_masks)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Replace everything in this session by what `save` wrote, and go on from there.

        Masks are those that were saved, and what is followed next as well, as if there had been no
        break. If a video is open, the file must be about that video; if none is, it is opened from
        where it was. What is from engines that this session lacks, or runs with other weights, is
        left out with a warning; if the engine that was in use is missing, the session keeps its
        own.
        """
        with self._lock:
            saved, clip = video_storage.read(path, self._clip, self._engines.models)
            engine = saved.engine if saved.engine in self.engines else self._engine
            steps = saved.steps
            steps.present = self._engines.told(engine, steps.present, clip.frames)
            shown = saved.frame, clip.frames[saved.frame]
            self._engine = engine
            self._mode = "negative" if saved.mode == "negative" else "positive"
            self._turn_to(clip, steps, shown)
        if engine != saved.engine:
            warnings.warn(
                f"{str(path)!r} was answered by {saved.engine!r}, which this session does not "
                f"have; {engine!r} answers instead",
                stacklevel=2,
            )
        others = [
            repr(name) for name in saved.left_out if name in self.engines or name != saved.engine
        ]
        if others:
            warnings.warn(
                f"{str(path)!r} has masks of {', '.join(others)}, which this session lacks or runs "
                "with other weights; they are left out, and prompts are answered anew",
                stacklevel=2,
            )
        self._tell({"video", "frame", "engine", "mode", "objects", "active", "prompts", "masks"})

    def annotated(self) -> AnnotatedVideo:
        """The video and all objects that have an answer on any frame, hidden ones included."""
        clip, state, name = self._open_clip, self.state, self._engine
        followed = state.followed_by(name)
        objects = []
        for track in state.objects:
            answers = {
                scores.frame: answer
                for scores in self._engines.scores(followed, track.id, clip.count)
                if (
                    answer := self._engines.answer(
                        name, followed, (track.id, scores.frame), clip.size
                    )
                )
            }
            if answers:
                objects.append(FollowedObject(track.name, track.colour, track.hidden, answers))
        return AnnotatedVideo(clip.name, clip.frames, clip.fps, tuple(objects))

    def export(self, format: str) -> Files:
        """Make the files of a take-away format, such as "youtube_vis": their bytes by name.

        `sam2lab.widgets.formats.VIDEO_FORMATS` lists the formats.
        """
        row, annotated = video_format_of(format), self.annotated()
        if not annotated.objects:
            raise ValueError("there is no object to take away yet: click on one or draw a box")
        return row.make(annotated)
