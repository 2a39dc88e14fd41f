"""The bar that is shown while an engine works, with a button to stop that."""

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

    def show(self, words: str | None, share: float | None = None) -> None:
        """Show what is being done and, where that is known, which share; nothing for None."""
        self.widget.layout.display = "none" if words is None else "flex"
        if words is not None:
            bar = "<div></div>" if share is None else f'<progress value="{share:.3f}"></progress>'
            self.bar.value = f"<div>{escape(words)}{bar}</div>"
