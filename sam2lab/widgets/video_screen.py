"""The video clicker's widgets, laid out, and brought up to date."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from ipywidgets import DOMWidget

from sam2lab.widgets.base_screen import BaseScreen
from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.canvas.overlay import Difference
from sam2lab.widgets.panels.strip import Row
from sam2lab.widgets.panels.timeline import Moment, TimelinePanel
from sam2lab.widgets.panels.video import VideoPanel
from sam2lab.widgets.session.clip import Clip
from sam2lab.widgets.session.followed import VideoAnswer
from sam2lab.widgets.session.packed import PackedMask
from sam2lab.widgets.session.tracks import Track
from sam2lab.widgets.session.video_session import VideoSession


@dataclass(eq=False)
class VideoScreen(BaseScreen):
    """The screen of the video clicker."""

    timeline: TimelinePanel
    video: VideoPanel

    def __post_init__(self) -> None:
        super().__post_init__()
        self._clip: Clip | None = None
        under = [self.timeline.widget, self.progress.widget, self.message]
        self._lay_out(under, self.video.widget)

    @property
    def after_photo(self) -> DOMWidget:
        """A button of the timeline."""
        return self.timeline.first

    def show(
        self,
        session: VideoSession,
        known: Mapping[int, VideoAnswer],
        other: str | None,
        difference: Difference | None,
        progress: tuple[str | None, float | None],
    ) -> None:
        """Bring everything but the canvas up to date."""
        clip = session.video
        self.progress.show(*progress)
        self.video.show(clip)
        self.engine.show(session.engine, other)
        self.engine.describe(session.engine, other, difference)
        if other is not None and difference is None and progress[0] is None:
            self.engine.note.value = f"{escape(other)} has no mask of this object here"
        has_objects = clip is not None and any(each.has_prompts for each in session.objects)
        for button in self.timeline.follow:
            button.disabled = not has_objects
        self._show_toolbar(session)
        if clip is None:
            return
        self._show_timeline(session, clip)
        self._show_objects(session, lambda item: _figures(item, known.get(item.id)))

    def draw(
        self,
        session: VideoSession,
        known: Mapping[int, VideoAnswer],
        difference: Difference | None,
        preview: PackedMask | None,
        pending: tuple[Mark, ...],
    ) -> None:
        """Bring the canvas up to date; a preview takes the place of the active object's mask."""
        clip = session.video
        if clip is None:
            return
        key = f"{session.frame} of {clip.key}"
        if clip is self._clip:
            self.stage.turn_to(key, session.photo)
        else:
            self._clip = clip
            self.stage.open(key, session.photo)
        masks = {object_id: answer.packed for object_id, answer in known.items()}
        self._draw(session, masks, difference, preview, pending)

    def _show_timeline(self, session: VideoSession, clip: Clip) -> None:
        active = session.active
        rows = [
            Row(session.timeline(item.id), item.name, item.colour, item.id == active.id)
            for item in session.objects
            if item.has_prompts
        ]
        frame, fps = session.frame, clip.fps
        seconds = "" if fps is None else f" · {frame / fps:.2f} s"
        self.timeline.show(Moment(frame, clip.count, fps, rows, seconds))


def _figures(item: Track, answer: VideoAnswer | None) -> str:
    """What an object's row says about its mask on the current frame."""
    if not item.has_prompts:
        return "no click yet"
    if answer is None:
        return "not followed to this frame"
    # The object score is a logit.
    there = f"there: {1 / (1 + math.exp(-answer.object_score)):.0%}"
    if not answer.area:
        return f"absent · {there}"
    return f"{answer.area:,} px · score {answer.iou:.2f} · {there}"
