"""The bar that is shown while an engine encodes the photo, with a button to stop waiting."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from ipywidgets import HTML, HBox

from sam2lab.widgets.panels.controls import button, named


class Progress:
    """Calls `stop` when the user does not want to wait any longer."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self.bar = named(HTML(), "bar")
        self.stop = button("cancel", "Stop", "Do not wait for this any longer", stop, "stop")
        self.widget = named(HBox([self.bar, self.stop]), "progress")

    def show(self, engine: str | None, waiting: int) -> None:
        """Show that an engine encodes while so many prompts wait, or nothing for None."""
        self.widget.layout.display = "none" if engine is None else "flex"
        if engine is not None:
            prompts = f"{waiting} prompt{'s' * (waiting > 1)}"
            then = f"; {prompts} will be answered then" if waiting else ""
            words = f"{escape(engine)} encodes the photo{then} …"
            self.bar.value = f"<div>{words}<div></div></div>"
