"""What the screens of photos and of videos have in common: layout, words, toolbar and canvas."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

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
from sam2lab.widgets.panels.take_away import TakeAwayPanel
from sam2lab.widgets.panels.toolbar import Toolbar
from sam2lab.widgets.session.base import BaseSession
from sam2lab.widgets.session.packed import PackedMask

# A preview is paler than the mask that a click would give.
PREVIEW_OPACITY = 0.6


@dataclass(eq=False)
class BaseScreen(ABC):
    """Everything that a user sees; `widgets` are its parts from top to bottom."""

    stage: Stage
    toolbar: Toolbar
    objects: ObjectList
    display: DisplayPanel
    engine: EnginePanel
    take_away: TakeAwayPanel
    progress: Progress

    def __post_init__(self) -> None:
        self.message = named(HTML(), "message")

    @property
    @abstractmethod
    def after_photo(self) -> DOMWidget:
        """The widget that gets the focus after the photo."""

    def say(self, words: str) -> None:
        """Tell the user something."""
        self.message.value = f'<div role="status">{escape(words)}</div>'

    def fail(self, words: str) -> None:
        """Tell the user what went wrong."""
        self.message.value = f'<div role="alert" class="sam2lab-error">⚠ {escape(words)}</div>'

    def _lay_out(self, under: Sequence[DOMWidget], source: DOMWidget, *beside: DOMWidget) -> None:
        """Put widgets under the photo, where it comes from below them, and others beside it."""
        below = named(HBox([source, self.take_away.widget]), "below")
        left = [self.stage.widget, *under, below]
        right = [*beside, self.objects.widget, self.display.widget, self.engine.widget]
        body = named(HBox([named(VBox(left), "stage"), named(VBox(right), "side")]), "body")
        self.widgets: list[DOMWidget] = [stylesheet(), self.toolbar.widget, body]

    def _show_toolbar(self, session: BaseSession[Any, Any]) -> None:
        """Enable what can be done now, and show which tool is chosen."""
        self.toolbar.enable(
            undo=session.can_undo,
            redo=session.can_redo,
            clear=session.is_open and bool(session.prompts),
            next=session.is_open and session.active.has_prompts,
        )
        if not self.stage.draws_boxes:
            self.toolbar.tool.value = session.mode

    def _show_objects(self, session: BaseSession[Any, Any], figures: Callable[[Any], str]) -> None:
        """Show a row for each object; `figures` says what a row tells about its mask."""
        active = session.active.id
        self.objects.show(
            [Entry(item, item.id == active, figures(item)) for item in session.objects]
        )

    def _draw(
        self,
        session: BaseSession[Any, Any],
        masks: Mapping[int, PackedMask],
        difference: Difference | None,
        preview: PackedMask | None,
        pending: tuple[Mark, ...],
    ) -> bool:
        """Bring the canvas up to date, and return whether anything has changed.

        A preview, or else a difference, takes the place of the active object's mask.
        """
        inside = self.display.inside
        if preview is not None:
            paint = Paint(session.active.colour, PREVIEW_OPACITY * inside)
            active: Masks = ((preview, paint),)
        elif difference is not None:
            active = difference.masks(inside)
        else:
            active = overlay.mask_of(session.active, masks, inside)
        others = overlay.other_objects(session, masks, inside)
        return self.stage.draw(others, active, overlay.marks(session) + pending)
