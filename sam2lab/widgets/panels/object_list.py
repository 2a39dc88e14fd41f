"""The list of objects: the colour, name, area and score of each, and buttons for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ipywidgets import HTML, ColorPicker, HBox, Text, VBox

from sam2lab.widgets.panels.controls import UserChanges, button, named, section
from sam2lab.widgets.session.objects import Labelled


class ObjectActions(Protocol):
    """The methods that the list calls when a user changes an object."""

    def select(self, object_id: int) -> None:
        """Make it the active object."""

    def rename(self, object_id: int, name: str) -> None:
        """Give it another name."""

    def recolour(self, object_id: int, colour: str) -> None:
        """Give it another colour."""

    def toggle(self, object_id: int) -> None:
        """Hide it, or show it again."""

    def delete(self, object_id: int) -> None:
        """Remove it."""


class Entry(NamedTuple):
    """An object, whether it is active, and what its row says about its mask."""

    item: Labelled
    is_active: bool
    figures: str


class ObjectList:
    """One row for each object. Rows are reused, because a new one takes long to make."""

    def __init__(self, actions: ObjectActions) -> None:
        self._actions = actions
        self._rows: list[_Row] = []
        self._box = named(VBox(), "objects")
        self.widget = section("Objects", self._box)

    @property
    def rows(self) -> Sequence[_Row]:
        """The rows that are shown."""
        return self._rows[: len(self._box.children)]

    def show(self, entries: Sequence[Entry]) -> None:
        """Show these objects."""
        while len(self._rows) < len(entries):
            self._rows.append(_Row(self._actions))
        for row, entry in zip(self._rows, entries, strict=False):
            row.show(entry)
        if len(self._box.children) != len(entries):
            self._box.children = [row.widget for row in self._rows[: len(entries)]]


class _Row:
    def __init__(self, actions: ObjectActions) -> None:
        self._id = -1
        self._changes = UserChanges()
        self.select = button(
            "object-select", "", "", lambda: actions.select(self._id), "hand-pointer-o"
        )
        self.colour = named(ColorPicker(concise=True), "object-colour")
        self.name = named(Text(continuous_update=False), "object-name")
        self.figures = named(HTML(), "object-figures")
        self.hide = button("object-hide", "", "", lambda: actions.toggle(self._id), "eye")
        self.delete = button("object-delete", "", "", lambda: actions.delete(self._id), "trash")
        self._changes.report(self.name, lambda name: actions.rename(self._id, name))
        self._changes.report(self.colour, lambda colour: actions.recolour(self._id, colour))
        self.widget = named(
            HBox([self.select, self.colour, self.name, self.hide, self.delete, self.figures]),
            "object",
        )

    def show(self, entry: Entry) -> None:
        item = entry.item
        self._id = item.id
        with self._changes.ignored():
            self.name.value = item.name
            self.colour.value = item.colour
        self.hide.icon = "eye-slash" if item.hidden else "eye"
        for control, words in (
            (self.name, "Name of"),
            (self.colour, "Colour of"),
            (self.select, "Go on clicking on"),
            (self.hide, "Show" if item.hidden else "Hide"),
            (self.delete, "Delete"),
        ):
            control.tooltip = control.description = f"{words} {item.name}"
        self.figures.value = entry.figures
        change = self.widget.add_class if entry.is_active else self.widget.remove_class
        change("sam2lab-is-active")
