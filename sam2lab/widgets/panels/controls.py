"""The parts of all panels: named widgets, buttons, sections, and the style sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from threading import get_ident
from typing import Any, TypeVar

from ipywidgets import HTML, Button, DOMWidget, VBox

W = TypeVar("W", bound=DOMWidget)


def named(widget: W, *names: str) -> W:
    """Give a widget the CSS classes `sam2lab-<name>`, by which style and tests find it."""
    for name in names:
        widget.add_class(f"sam2lab-{name}")
    return widget


def button(name: str, label: str, tooltip: str, do: Callable[[], None], icon: str = "") -> Button:
    """Make a button; without a label it shows its icon, and screen readers say the tooltip."""
    if icon and not label:
        made = named(Button(description=tooltip, icon=icon), "icon")
    else:
        made = Button(description=label, icon=icon)
    made.tooltip = tooltip
    made.on_click(lambda _: do())
    return named(made, name)


def section(title: str, *children: DOMWidget) -> VBox:
    """Put widgets under a heading."""
    return named(VBox([named(HTML(title), "title"), *children]), "section")


def stylesheet() -> HTML:
    """Make an invisible widget that brings `clicker.css` to any page that shows the clicker."""
    css = (files("sam2lab.widgets.panels") / "clicker.css").read_text(encoding="utf-8")
    return HTML(f"<style>{css}</style>").add_class("sam2lab-style")


class UserChanges:
    """Reports what a user changes, and not what the program changes within `ignored()`."""

    def __init__(self) -> None:
        # A user's change may come in another thread meanwhile.
        self._ignored_in: int | None = None

    def report(self, widget: DOMWidget, do: Callable[[Any], None]) -> None:
        """Call `do` with each new value that a user gives this widget."""

        def changed(change: Any) -> None:
            if self._ignored_in != get_ident():
                do(change["new"])

        widget.observe(changed, "value")

    @contextmanager
    def ignored(self) -> Iterator[None]:
        """Report no changes meanwhile."""
        self._ignored_in = get_ident()
        try:
            yield
        finally:
            self._ignored_in = None
