"""The clicker's widgets, laid out, and brought up to date."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from ipywidgets import HTML, DOMWidget

from sam2lab.widgets.base_screen import BaseScreen
from sam2lab.widgets.canvas import overlay
from sam2lab.widgets.encoding import Encoding
from sam2lab.widgets.panels.candidates import Candidates
from sam2lab.widgets.panels.controls import named
from sam2lab.widgets.panels.engine import status
from sam2lab.widgets.panels.near import NearPanel
from sam2lab.widgets.panels.photo import PhotoPanel
from sam2lab.widgets.session.answers import Answer
from sam2lab.widgets.session.objects import Item
from sam2lab.widgets.session.packed import PackedMask
from sam2lab.widgets.session.session import Session


@dataclass(eq=False)
class Screen(BaseScreen):
    """The screen of the clicker."""

    candidates: Candidates
    photo: PhotoPanel
    near: NearPanel

    def __post_init__(self) -> None:
        super().__post_init__()
        self.status = named(HTML(), "status")
        self._open_photo = ""
        self._draw_ms: float | None = None
        self._compared: tuple[tuple[object, ...], overlay.Difference] | None = None
        under = [self.progress.widget, self.message, self.status]
        *choices, note = self.engine.widget.children
        self.engine.widget.children = (*choices, self.near.places, note)
        self._lay_out(under, self.photo.widget, self.candidates.widget)

    @property
    def after_photo(self) -> DOMWidget:
        """A candidate, an object or the upload."""
        if self.candidates.is_shown:
            return self.candidates.buttons[0]
        return self.objects.rows[0].select if self.objects.rows else self.photo.upload

    def show(
        self,
        session: Session,
        encoding: Encoding,
        known: Mapping[int, Answer],
        preview: PackedMask | None,
        where: str,
    ) -> None:
        """Show everything as it is now; the canvas comes first, because users wait for it.

        `where` says who answers, if there is something to say.
        """
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
            self._show_objects(session, lambda item: _figures(item, known.get(item.id)))
        self.photo.show(picture)
        self.engine.show(encoding.wanted, encoding.other)
        self._show_toolbar(session)
        self.status.value = status(session.engine, session.timings, self._draw_ms, where)

    def draw(
        self,
        session: Session,
        encoding: Encoding,
        known: Mapping[int, Answer],
        preview: PackedMask | None,
    ) -> None:
        """Bring the canvas up to date."""
        start = time.perf_counter()
        difference = self._difference(session, encoding.other, known)
        masks = {key: answer.chosen_packed for key, answer in known.items()}
        if self._draw(session, masks, difference, preview, encoding.pending):
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


def _figures(item: Item, answer: Answer | None) -> str:
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
