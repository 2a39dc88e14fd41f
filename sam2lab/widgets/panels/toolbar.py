"""The row above the photo: what a click means, and the actions that have a button and keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from ipywidgets import Button, HBox, ToggleButtons

from sam2lab.widgets.panels.controls import button, named


class Action(NamedTuple):
    """A button, and the keys that do the same while the photo has the focus.

    `keys` are as `KeyboardEvent.key` names them; with Shift, letters are capital.
    """

    name: str
    label: str
    icon: str
    tooltip: str
    keys: tuple[str, ...] = ()


# JupyterLab gets every key first, so these are keys that it does not use in command mode.
ACTIONS = (
    Action("undo", "Undo", "undo", "Take the latest action back (key U)", ("u",)),
    Action("redo", "Redo", "repeat", "Do again what was taken back (key Shift+U)", ("U",)),
    Action("clear", "Clear", "eraser", "Remove all points and the box of this object"),
    Action("zoom-in", "Zoom in", "search-plus", "Zoom in (key +)", ("+", "=")),
    Action("zoom-out", "Zoom out", "search-minus", "Zoom out (key -)", ("-",)),
    Action("fit", "Fit", "arrows-alt", "Show the whole photo (key W)", ("w",)),
    Action("pan-left", "", "arrow-left", "See more to the left"),
    Action("pan-right", "", "arrow-right", "See more to the right"),
    Action("pan-up", "", "arrow-up", "See more above"),
    Action("pan-down", "", "arrow-down", "See more below"),
    Action("next", "Next object", "check", "Finish this object and begin another (key N)", ("n",)),
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


class Toolbar:
    """Calls `act` with the name of an action, and `use_tool` with the value of a tool."""

    def __init__(self, act: Callable[[str], None], use_tool: Callable[[str], None]) -> None:
        self.tool = named(
            ToggleButtons(
                options=[(label, value) for label, value, _ in TOOLS],
                tooltips=[tooltip for _, _, tooltip in TOOLS],
            ),
            "tool",
        )
        self.tool.observe(lambda change: use_tool(change["new"]), "value")
        self.buttons = {
            action.name: button(
                action.name, action.label, action.tooltip, partial(act, action.name), action.icon
            )
            for action in ACTIONS
        }
        self.buttons["next"].button_style = "success"
        groups = [named(HBox([self.buttons[name] for name in names]), "group") for names in GROUPS]
        self.widget = named(HBox([self.tool, *groups]), "toolbar")

    @property
    def last(self) -> Button:
        """The last button that is enabled."""
        return [made for made in self.buttons.values() if not made.disabled][-1]

    def enable(self, **possible: bool) -> None:
        """Enable or disable the named actions."""
        for name, is_possible in possible.items():
            self.buttons[name].disabled = not is_possible
