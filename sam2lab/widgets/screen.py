"""All that a person sees of the clicker, and how it is brought up to date."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Protocol

from ipywidgets import HTML, DOMWidget, HBox, VBox

from sam2lab.runtime.images import ImageLike
from sam2lab.widgets.canvas import overlay, stage
from sam2lab.widgets.canvas.crosshair import Crosshair
from sam2lab.widgets.canvas.painting import Paint
from sam2lab.widgets.canvas.stage import Stage
from sam2lab.widgets.encoding import Encoding
from sam2lab.widgets.panels import object_list
from sam2lab.widgets.panels.candidates import Candidates
from sam2lab.widgets.panels.controls import Toolbar, button, named, stylesheet
from sam2lab.widgets.panels.display import DisplayPanel
from sam2lab.widgets.panels.engine import EnginePanel, status
from sam2lab.widgets.panels.object_list import Entry, ObjectList
from sam2lab.widgets.panels.photo import PhotoPanel, Source
from sam2lab.widgets.panels.take_away import TakeawayPanel
from sam2lab.widgets.session.answers import Answer
from sam2lab.widgets.session.packed import PackedMask
from sam2lab.widgets.session.session import Session

# A preview is paler than the mask that a click would leave.
PREVIEW_OPACITY = 0.6


class Doing(stage.Pointing, object_list.Doing, Protocol):
    """What the screen asks for when somebody touches it."""

    def act(self, name: str) -> None:
        """Do one of `controls.ACTIONS`."""

    def choose(self, index: int) -> None:
        """Choose a candidate."""

    def use_tool(self, tool: str) -> None:
        """A click is to mean "positive", "negative" or "box"."""

    def use_hover(self, wanted: bool) -> None:
        """Preview under the pointer, or no longer."""

    def use_engine(self, name: str) -> None:
        """Another engine is to answer."""

    def compare(self, name: str | None) -> None:
        """Show where this engine disagrees; None for none."""

    def refresh(self) -> None:
        """Show everything anew."""

    def open(self, image: Source, name: str | None = None) -> None:
        """Open another photo."""

    def take(self, form: str) -> None:
        """Make a file of the objects."""

    def stop(self) -> None:
        """Wait no longer for the encoder."""


class Screen:
    """The widgets of the clicker, in `widgets` from top to bottom; it decides nothing."""

    def __init__(
        self,
        size: tuple[int, int],
        engines: tuple[str, ...],
        offered: Iterable[ImageLike],
        doing: Doing,
    ) -> None:
        self.stage = Stage(size, doing)
        self.crosshair = Crosshair(self.stage, self.say)
        self.toolbar = Toolbar(doing.act)
        self.candidates = Candidates(doing.choose)
        self.list = ObjectList(doing)
        self.display = DisplayPanel(doing.refresh, doing.use_hover)
        self.engine = EnginePanel(engines, doing.use_engine, doing.compare)
        self.photo = PhotoPanel(offered, doing.open)
        self.takeaway = TakeawayPanel(doing.take)
        self.message = named(HTML(), "message")
        self.status = named(HTML(), "status")
        self.bar = named(HTML(), "bar")
        cancel = button("cancel", "Stop", "Do not wait for this any longer", doing.stop, "stop")
        self.progress = named(HBox([self.bar, cancel]), "progress")
        self.toolbar.tool.observe(lambda change: doing.use_tool(change["new"]), "value")
        self._open_photo = ""
        self._draw_ms: float | None = None
        self._compared: tuple[tuple[object, ...], overlay.Difference] | None = None
        below = named(HBox([self.photo.widget, self.takeaway.widget]), "below")
        left = [self.stage.widget, self.progress, self.message, self.status, below]
        right = [panel.widget for panel in (self.candidates, self.list, self.display, self.engine)]
        body = named(HBox([named(VBox(left), "stage"), named(VBox(right), "side")]), "body")
        self.widgets: list[Any] = [stylesheet(), self.toolbar.widget, body]

    @property
    def after_photo(self) -> DOMWidget:
        """What is nearest to the photo: answers to choose from, an object, or another photo."""
        if self.candidates.is_shown:
            return self.candidates.buttons[0]
        return self.list.rows[0].select if self.list.rows else self.photo.upload

    def say(self, words: str) -> None:
        """Tell people something."""
        self.message.value = f'<div role="status">{escape(words)}</div>'

    def fail(self, words: str) -> None:
        """Tell people what went wrong."""
        self.message.value = f'<div role="alert" class="sam2lab-error">⚠ {escape(words)}</div>'

    def show(
        self,
        session: Session,
        encoding: Encoding,
        known: Mapping[int, Answer],
        preview: PackedMask | None,
    ) -> None:
        """Show everything as it is now: the canvas first, which is what people wait for."""
        picture = session.image
        self._show_progress(encoding)
        if picture is not None:
            if picture.key != self._open_photo:
                self._open_photo = picture.key
                self.stage.open(picture.key, session.photo)
                self.candidates.open(session.photo)
            self.draw(session, encoding, known, preview)
            active = session.active
            self.candidates.show(known.get(active.id), active.colour)
            self.list.show([Entry(i, i.id == active.id, known.get(i.id)) for i in session.objects])
        self.photo.show(picture)
        self.engine.show(encoding.wanted, encoding.other)
        has_prompts = picture is not None and bool(session.prompts)
        self.toolbar.enable(
            undo=session.can_undo, redo=session.can_redo, clear=has_prompts, next=has_prompts
        )
        if not self.stage.draws_boxes:
            self.toolbar.tool.value = session.mode
        self.status.value = status(session.engine, session.timings, self._draw_ms)

    def draw(
        self,
        session: Session,
        encoding: Encoding,
        known: Mapping[int, Answer],
        preview: PackedMask | None,
    ) -> None:
        """Bring the canvas up to date."""
        start, inside = time.perf_counter(), self.display.inside
        difference = self._difference(session, encoding.other, known)
        if preview is not None:
            paint = Paint(session.active.colour, PREVIEW_OPACITY * inside)
            active: overlay.Masks = ((preview, paint),)
        elif difference is not None:
            active = difference.masks(inside)
        else:
            active = overlay.active_object(session, known, inside)
        has_changed = self.stage.draw(
            overlay.other_objects(session, known, inside),
            active,
            overlay.marks(session) + encoding.pending,
        )
        if has_changed:
            self._draw_ms = 1000 * (time.perf_counter() - start)

    def _difference(
        self, session: Session, other: str | None, known: Mapping[int, Answer]
    ) -> overlay.Difference | None:
        """Computed once for each pair of answers."""
        found = None
        if other is not None and session.active.id in known and session.is_encoded(other):
            key = (other, session.engine, session.prompts, session.active.choice, self._open_photo)
            if self._compared is None or self._compared[0] != key:
                self._compared = key, overlay.difference(session, other)
            found = self._compared[1]
        self.engine.describe(session.engine, other, found)
        return found

    def _show_progress(self, encoding: Encoding) -> None:
        self.progress.layout.display = "none" if encoding.running is None else "flex"
        if encoding.running is not None:
            count = len(encoding.pending)
            then = f"; {count} prompt{'s' * (count > 1)} will be answered then" if count else ""
            words = f"{escape(encoding.running)} looks at the photo{then} …"
            self.bar.value = f"<div>{words}<div></div></div>"
