"""The list of objects: colour, name, area and score, and what can be done with each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from ipywidgets import HTML, ColorPicker, HBox, Text, VBox

from sam2lab.widgets.panels.controls import button, named, section
from sam2lab.widgets.session.answers import Answer
from sam2lab.widgets.session.objects import Item


class Doing(Protocol):
    """What the list asks for, by object id."""

    def select(self, object_id: int) -> None:
        """Go on with this object."""

    def rename(self, object_id: int, name: str) -> None:
        """Call it otherwise."""

    def recolour(self, object_id: int, colour: str) -> None:
        """Show it in another colour."""

    def toggle(self, object_id: int) -> None:
        """Hide it, or show it again."""

    def delete(self, object_id: int) -> None:
        """Remove it."""


class Entry(NamedTuple):
    """An object, whether it takes the next prompt, and what is known about its mask."""

    item: Item
    is_active: bool
    answer: Answer | None


class ObjectList:
    """One row an object. Rows are made once and then reused: making them takes long."""

    def __init__(self, doing: Doing) -> None:
        self._doing = doing
        self._rows: list[_Row] = []
        self._box = named(VBox(), "objects")
        self.widget = section("Objects", self._box)

    @property
    def rows(self) -> Sequence[_Row]:
        """The rows that are shown."""
        return self._rows[: len(self._box.children)]

    def show(self, entries: Sequence[Entry]) -> None:
        """Bring the list to this state."""
        while len(self._rows) < len(entries):
            self._rows.append(_Row(self._doing))
        for row, entry in zip(self._rows, entries, strict=False):
            row.show(entry)
        if len(self._box.children) != len(entries):
            self._box.children = [row.widget for row in self._rows[: len(entries)]]


class _Row:
    def __init__(self, doing: Doing) -> None:
        self._id = -1
        self._is_showing = False
        self.select = button(
            "object-select", "", "", lambda: doing.select(self._id), "hand-pointer-o"
        )
        self.colour = named(ColorPicker(concise=True), "object-colour")
        self.name = named(Text(continuous_update=False), "object-name")
        self.figures = named(HTML(), "object-figures")
        self.hide = button("object-hide", "", "", lambda: doing.toggle(self._id), "eye")
        self.delete = button("object-delete", "", "", lambda: doing.delete(self._id), "trash")
        self.name.observe(self._on_change(doing.rename), "value")
        self.colour.observe(self._on_change(doing.recolour), "value")
        self.widget = named(
            HBox([self.select, self.colour, self.name, self.hide, self.delete, self.figures]),
            "object",
        )

    def show(self, entry: Entry) -> None:
        item, answer = entry.item, entry.answer
        self._id = item.id
        self._is_showing = True
        try:
            self.name.value = item.name
            self.colour.value = item.colour
        finally:
            self._is_showing = False
        self.hide.icon = "eye-slash" if item.hidden else "eye"
        for control, words in (
            (self.name, "Name of"),
            (self.colour, "Colour of"),
            (self.select, "Go on clicking on"),
            (self.hide, "Show" if item.hidden else "Hide"),
            (self.delete, "Delete"),
        ):
            control.tooltip = control.description = f"{words} {item.name}"
        self.figures.value = _figures(item, answer)
        change = self.widget.add_class if entry.is_active else self.widget.remove_class
        change("sam2lab-is-active")

    def _on_change(self, do: Callable[[int, str], None]) -> Callable[[Any], None]:
        def changed(change: Any) -> None:
            if not self._is_showing:
                do(self._id, change["new"])

        return changed


def _figures(item: Item, answer: Answer | None) -> str:
    if not item.prompts:
        return "no click yet"
    if answer is None or answer.score is None:
        return "no mask"
    return f"{answer.area:,} px · score {answer.score:.2f}"
