"""Buttons with names that people, screen readers and tests find, and the row above the photo."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.resources import files
from typing import Any, NamedTuple, TypeVar

from ipywidgets import HTML, Box, Button, DOMWidget, HBox, ToggleButtons, VBox

W = TypeVar("W", bound=DOMWidget)


class Action(NamedTuple):
    """What a button, or a key while the photo has the focus, does.

    `keys` are as `KeyboardEvent.key` names them; with Shift held, letters are capital.
    """

    name: str
    label: str
    icon: str
    tooltip: str
    keys: tuple[str, ...] = ()


# Keys that JupyterLab leaves alone while a notebook is in command mode: it hears them first.
ACTIONS = (
    Action("undo", "Undo", "undo", "Take the latest action back (key U)", ("u",)),
    Action("redo", "Redo", "repeat", "Do again what was taken back (key Shift+U)", ("U",)),
    Action("clear", "Clear", "eraser", "Take all points and the box of this object away", ()),
    Action("zoom-in", "Zoom in", "search-plus", "Zoom in (key +)", ("+", "=")),
    Action("zoom-out", "Zoom out", "search-minus", "Zoom out (key -)", ("-",)),
    Action("fit", "Fit", "arrows-alt", "Show the whole photo (key W)", ("w",)),
    Action("pan-left", "", "arrow-left", "See more to the left"),
    Action("pan-right", "", "arrow-right", "See more to the right"),
    Action("pan-up", "", "arrow-up", "See more above"),
    Action("pan-down", "", "arrow-down", "See more below"),
    Action("next", "Next object", "check", "This one is done: begin another (key N)", ("n",)),
)
TOOLS = (
    ("+ Add", "positive", "A click says: this belongs to the object; key Enter"),
    ("− Remove", "negative", "A click says: this does not belong to the object; keys Shift+Enter"),
    ("▭ Box", "box", "Two clicks, or a drag, are the corners of a box around it; key E twice"),
)
GROUPS = (
    ("undo", "redo", "clear"),
    ("zoom-in", "zoom-out", "fit", "pan-left", "pan-right", "pan-up", "pan-down"),
    ("next",),
)


def named(widget: W, *names: str) -> W:
    """The widget, with CSS classes `sam2lab-<name>` by which style and tests find it."""
    for name in names:
        widget.add_class(f"sam2lab-{name}")
    return widget


def button(name: str, label: str, tooltip: str, do: Callable[[], None], icon: str = "") -> Button:
    """A button that says what it does: without a label by its icon, and in words when spoken."""
    if icon and not label:
        made = named(Button(description=tooltip, icon=icon), "icon")
    else:
        made = Button(description=label, icon=icon)
    made.tooltip = tooltip
    made.on_click(lambda _: do())
    return named(made, name)


def section(title: str, *children: Any) -> VBox:
    """Controls under a heading."""
    return named(VBox([named(HTML(title), "title"), *children]), "section")


def stylesheet() -> HTML:
    """An invisible widget that brings `clicker.css` to any page that shows the clicker."""
    css = (files("sam2lab.widgets.panels") / "clicker.css").read_text(encoding="utf-8")
    return HTML(f"<style>{css}</style>").add_class("sam2lab-style")


class Toolbar:
    """The tools, and a button for every action that is not about one object in the list."""

    def __init__(self, act: Callable[[str], None]) -> None:
        self.tool = named(
            ToggleButtons(
                options=[(label, value) for label, value, _ in TOOLS],
                tooltips=[tooltip for _, _, tooltip in TOOLS],
            ),
            "tool",
        )
        self.buttons = {
            action.name: button(
                action.name, action.label, action.tooltip, partial(act, action.name), action.icon
            )
            for action in ACTIONS
        }
        self.buttons["next"].button_style = "success"
        groups = [named(HBox([self.buttons[name] for name in names]), "group") for names in GROUPS]
        self.widget: Box = named(HBox([self.tool, *groups]), "toolbar")

    @property
    def last(self) -> Button:
        """The last button that has something to do."""
        return [made for made in self.buttons.values() if not made.disabled][-1]

    def enable(self, **possible: bool) -> None:
        """Which of the named actions have something to do now."""
        for name, is_possible in possible.items():
            self.buttons[name].disabled = not is_possible
