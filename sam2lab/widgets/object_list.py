"""The list of objects: colour, name, area and score, and what can be done with each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from ipywidgets import HTML, Button, ColorPicker, HBox, Text, VBox

from sam2lab.widgets.answers import Answer
from sam2lab.widgets.controls import named, section
from sam2lab.widgets.objects import Item


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
        self.select = _icon("select", "hand-pointer-o", lambda: doing.select(self._id))
        self.colour = named(ColorPicker(concise=True), "object-colour")
        self.name = named(Text(continuous_update=False), "object-name")
        self.figures = named(HTML(), "object-figures")
        self.hide = _icon("hide", "eye", lambda: doing.toggle(self._id))
        self.delete = _icon("delete", "trash", lambda: doing.delete(self._id))
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
        self.name.tooltip = f"Name of {item.name}"
        self.colour.tooltip = f"Colour of {item.name}"
        self.select.tooltip = f"Go on clicking on {item.name}"
        self.delete.tooltip = f"Delete {item.name}"
        self.hide.icon = "eye-slash" if item.hidden else "eye"
        self.hide.tooltip = f"{'Show' if item.hidden else 'Hide'} {item.name}"
        self.figures.value = _figures(item, answer)
        change = self.widget.add_class if entry.is_active else self.widget.remove_class
        change("sam2lab-is-active")

    def _on_change(self, do: Callable[[int, str], None]) -> Callable[[Any], None]:
        def changed(change: Any) -> None:
            if not self._is_showing:
                do(self._id, change["new"])

        return changed


def _icon(name: str, icon: str, do: Callable[[], None]) -> Button:
    made = named(Button(icon=icon), f"object-{name}")
    made.on_click(lambda _: do())
    return made


def _figures(item: Item, answer: Answer | None) -> str:
    if not item.prompts:
        return "no click yet"
    if answer is None or answer.score is None:
        return "no mask"
    return f"{answer.area:,} px · score {answer.score:.2f}"
