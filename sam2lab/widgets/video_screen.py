"""The video clicker's widgets, laid out, and brought up to date."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from ipywidgets import HTML, DOMWidget, HBox, VBox

from sam2lab.widgets.canvas import overlay
from sam2lab.widgets.canvas.layers import Masks
from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.canvas.overlay import Difference
from sam2lab.widgets.canvas.painting import Paint
from sam2lab.widgets.canvas.stage import Stage
from sam2lab.widgets.panels.controls import named, stylesheet
from sam2lab.widgets.panels.display import DisplayPanel
from sam2lab.widgets.panels.engine import EnginePanel
from sam2lab.widgets.panels.object_list import Entry, ObjectList
from sam2lab.widgets.panels.progress import Progress
from sam2lab.widgets.panels.strip import Row
from sam2lab.widgets.panels.take_away import TakeAwayPanel
from sam2lab.widgets.panels.timeline import Moment, TimelinePanel
from sam2lab.widgets.panels.toolbar import Toolbar
from sam2lab.widgets.panels.video import VideoPanel
from sam2lab.widgets.screen import PREVIEW_OPACITY
from sam2lab.widgets.session.clip import Clip
from sam2lab.widgets.session.followed import VideoAnswer
from sam2lab.widgets.session.packed import PackedMask
from sam2lab.widgets.session.tracks import Track
from sam2lab.widgets.session.video_session import VideoSession


@dataclass(eq=False)
class VideoScreen:
    """Everything that a user sees; `widgets` are its parts from top to bottom."""

    stage: Stage
    toolbar: Toolbar
    timeline: TimelinePanel
    objects: ObjectList
    display: DisplayPanel
    engine: EnginePanel
    video: VideoPanel
    take_away: TakeAwayPanel
    progress: Progress

    def __post_init__(self) -> None:
        self.message = named(HTML(), "message")
        self._clip: Clip | None = None
        below = named(HBox([self.video.widget, self.take_away.widget]), "below")
        left = [
            *(self.stage.widget, self.timeline.widget, self.progress.widget),
            *(self.message, below),
        ]
        right = [panel.widget for panel in (self.objects, self.display, self.engine)]
        body = named(HBox([named(VBox(left), "stage"), named(VBox(right), "side")]), "body")
        self.widgets: list[DOMWidget] = [stylesheet(), self.toolbar.widget, body]

    @property
    def after_photo(self) -> DOMWidget:
        """The widget that gets the focus after the photo."""
        return self.timeline.first

    def say(self, words: str) -> None:
        """Tell the user something."""
        self.message.value = f'<div role="status">{escape(words)}</div>'

    def fail(self, words: str) -> None:
        """Tell the user what went wrong."""
        self.message.value = f'<div role="alert" class="sam2lab-error">⚠ {escape(words)}</div>'

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
        has_prompts = clip is not None and bool(session.prompts)
        self.toolbar.enable(
            undo=session.can_undo,
            redo=session.can_redo,
            clear=has_prompts,
            next=clip is not None and session.active.has_prompts,
        )
        if not self.stage.draws_boxes:
            self.toolbar.tool.value = session.mode
        if clip is None:
            return
        self._show_timeline(session, clip)
        self.objects.show(
            [
                Entry(item, item.id == session.active.id, _figures(item, known.get(item.id)))
                for item in session.objects
            ]
        )

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
        inside = self.display.inside
        masks = {object_id: answer.packed for object_id, answer in known.items()}
        if preview is not None:
            paint = Paint(session.active.colour, PREVIEW_OPACITY * inside)
            active: Masks = ((preview, paint),)
        elif difference is not None:
            active = difference.masks(inside)
        else:
            active = overlay.mask_of(session.active, masks, inside)
        others = overlay.other_objects(session, masks, inside)
        self.stage.draw(others, active, overlay.marks(session) + pending)

    def _show_timeline(self, session: VideoSession, clip: Clip) -> None:
        active = session.active
        rows = [
            Row(session.timeline(item.id), item.name, item.colour, item.id == active.id)
            for item in session.objects
            if item.has_prompts
        ]
        self.timeline.show(
            Moment(session.frame, clip.count, clip.fps, rows, _seconds(clip, session.frame))
        )


def _seconds(clip: Clip, frame: int) -> str:
    return "" if clip.fps is None else f" · {frame / clip.fps:.2f} s"


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
