"""The clicker's widgets, laid out, and brought up to date."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from ipywidgets import HTML, DOMWidget, HBox, VBox

from sam2lab.widgets.canvas import overlay
from sam2lab.widgets.canvas.layers import Masks
from sam2lab.widgets.canvas.painting import Paint
from sam2lab.widgets.canvas.stage import Stage
from sam2lab.widgets.encoding import Encoding
from sam2lab.widgets.panels.candidates import Candidates
from sam2lab.widgets.panels.controls import named, stylesheet
from sam2lab.widgets.panels.display import DisplayPanel
from sam2lab.widgets.panels.engine import EnginePanel, status
from sam2lab.widgets.panels.object_list import Entry, ObjectList
from sam2lab.widgets.panels.photo import PhotoPanel
from sam2lab.widgets.panels.progress import Progress
from sam2lab.widgets.panels.take_away import TakeAwayPanel
from sam2lab.widgets.panels.toolbar import Toolbar
from sam2lab.widgets.session.answers import Answer
from sam2lab.widgets.session.objects import Item
from sam2lab.widgets.session.packed import PackedMask
from sam2lab.widgets.session.session import Session

# A preview is paler than the mask that a click would give.
PREVIEW_OPACITY = 0.6


@dataclass(eq=False)
class Screen:
    """Everything that a user sees; `widgets` are its parts from top to bottom."""

    stage: Stage
    toolbar: Toolbar
    candidates: Candidates
    objects: ObjectList
    display: DisplayPanel
    engine: EnginePanel
    photo: PhotoPanel
    take_away: TakeAwayPanel
    progress: Progress

    def __post_init__(self) -> None:
        self.message = named(HTML(), "message")
        self.status = named(HTML(), "status")
        self._open_photo = ""
        self._draw_ms: float | None = None
        self._compared: tuple[tuple[object, ...], overlay.Difference] | None = None
        below = named(HBox([self.photo.widget, self.take_away.widget]), "below")
        left = [self.stage.widget, self.progress.widget, self.message, self.status, below]
        panels = (self.candidates, self.objects, self.display, self.engine)
        right = [panel.widget for panel in panels]
        body = named(HBox([named(VBox(left), "stage"), named(VBox(right), "side")]), "body")
        self.widgets: list[DOMWidget] = [stylesheet(), self.toolbar.widget, body]

    @property
    def after_photo(self) -> DOMWidget:
        """The widget that gets the focus after the photo: a candidate, an object or the upload."""
        if self.candidates.is_shown:
            return self.candidates.buttons[0]
        return self.objects.rows[0].select if self.objects.rows else self.photo.upload

    def say(self, words: str) -> None:
        """Tell the user something."""
        self.message.value = f'<div role="status">{escape(words)}</div>'

    def fail(self, words: str) -> None:
        """Tell the user what went wrong."""
        self.message.value = f'<div role="alert" class="sam2lab-error">⚠ {escape(words)}</div>'

    def show(
        self,
        session: Session,
        encoding: Encoding,
        known: Mapping[int, Answer],
        preview: PackedMask | None,
    ) -> None:
        """Show everything as it is now; the canvas comes first, because users wait for it."""
        picture = session.image
        self.progress.show(_encoding_words(encoding))
        if picture is not None:
            if picture.key != self._open_photo:
                self._open_photo = picture.key
                self.stage.open(picture.key, session.photo)
                self.candidates.open(session.photo)
            self.draw(session, encoding, known, preview)
            active = session.active
            self.candidates.show(known.get(active.id), active.colour)
            self.objects.show(
                [
                    Entry(item, item.id == active.id, figures(item, known.get(item.id)))
                    for item in session.objects
                ]
            )
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
        masks = {key: answer.chosen_packed for key, answer in known.items()}
        if preview is not None:
            paint = Paint(session.active.colour, PREVIEW_OPACITY * inside)
            active: Masks = ((preview, paint),)
        elif difference is not None:
            active = difference.masks(inside)
        else:
            active = overlay.mask_of(session.active, masks, inside)
        has_changed = self.stage.draw(
            overlay.other_objects(session, masks, inside),
            active,
            overlay.marks(session) + encoding.pending,
        )
        if has_changed:
            self._draw_ms = 1000 * (time.perf_counter() - start)

    def _difference(
        self, session: Session, other: str | None, known: Mapping[int, Answer]
    ) -> overlay.Difference | None:
        """Compare two engines, once for each pair of answers."""
        found = None
        if other is not None and session.active.id in known and session.is_encoded(other):
            key = (other, session.engine, session.prompts, session.active.choice, self._open_photo)
            if self._compared is None or self._compared[0] != key:
                seen = session.disagreement(session.engine, other)
                self._compared = key, overlay.difference(seen, session.mask)
            found = self._compared[1]
        self.engine.describe(session.engine, other, found)
        return found


def figures(item: Item, answer: Answer | None) -> str:
    """What an object's row says about its mask."""
    if not item.prompts:
        return "no click yet"
    if answer is None or answer.score is None:
        return "no mask"
    return f"{answer.area:,} px · score {answer.score:.2f}"


def _encoding_words(encoding: Encoding) -> str | None:
    if encoding.running is None:
        return None
    waiting = len(encoding.pending)
    prompts = f"{waiting} prompt{'s' * (waiting > 1)}"
    then = f"; {prompts} will be answered then" if waiting else ""
    return f"{encoding.running} encodes the photo{then} …"
