"""Objects, and the state that they make up; all of it is immutable."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Generic, Self, TypeVar

from sam2lab.widgets.session.prompts import Prompt

# Colours that eyes with and without colour vision deficiencies tell apart: Okabe and Ito's palette
# without black, then colours of Paul Tol's schemes, each the one furthest from all before it.
PALETTE = (
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#f0e442",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
    "#332288",
    "#882255",
    "#ffaabb",
    "#99ddff",
    "#117733",
    "#999933",
)


# An object's id, its prompts and its choice: with the engine, they decide its mask.
Question = tuple[int, tuple[Prompt, ...], int | None]


@dataclass(frozen=True)
class Labelled(ABC):
    """What objects on photos and in videos have in common: a name, and how they are shown."""

    id: int
    name: str
    colour: str
    hidden: bool = False

    @property
    @abstractmethod
    def has_prompts(self) -> bool:
        """Whether anything points the object out."""


@dataclass(frozen=True)
class Item(Labelled):
    """One object on a photo.

    `choice` is the number of the candidate that the user chose among the answers to the first
    prompt; None means the best-scored one.
    """

    prompts: tuple[Prompt, ...] = ()
    choice: int | None = None

    @property
    def has_prompts(self) -> bool:
        return bool(self.prompts)

    @property
    def question(self) -> Question:
        """All that this object's mask depends on, except the engine."""
        return self.id, self.prompts, self.choice

    def prompted(self, prompts: tuple[Prompt, ...]) -> Item:
        """Replace the prompts; the choice is kept while the first prompt stays the same."""
        stands = prompts[:1] == self.prompts[:1]
        return replace(self, prompts=prompts, choice=self.choice if stands else None)


T = TypeVar("T", bound=Labelled)


@dataclass(frozen=True)
class Objects(ABC, Generic[T]):
    """All objects at one moment.

    One object is `active`: it takes the next prompt. No other object is without prompts.
    """

    objects: tuple[T, ...]
    active: int
    next_id: int

    @staticmethod
    @abstractmethod
    def made(object_id: int, name: str, colour: str) -> T:
        """Make an object without prompts."""

    @classmethod
    def fresh(cls) -> Self:
        """The state at the beginning: one empty object."""
        return cls((), 0, 1).begun()

    def check(self) -> Self:
        """Refuse what no actions can have led to; for states that come from files."""
        ids = [item.id for item in self.objects]
        if (
            len(set(ids)) < len(ids)
            or self.active not in ids
            or max(ids) >= self.next_id
            or any(not item.has_prompts and item.id != self.active for item in self.objects)
        ):
            raise ValueError("it contradicts itself in its objects")
        for item in self.objects:
            if self.renamed(item.id, item.name).recoloured(item.id, item.colour) != self:
                raise ValueError(f"it has an object of name {item.name!r}, colour {item.colour!r}")
        return self

    def item(self, object_id: int | None = None) -> T:
        """The object with this id, or the active one."""
        wanted = self.active if object_id is None else object_id
        for item in self.objects:
            if item.id == wanted:
                return item
        known = ", ".join(f"{item.id} ({item.name})" for item in self.objects)
        raise ValueError(f"object_id is {object_id!r}; wanted one of {known}")

    def changed(self, item: T) -> Self:
        """Replace the object that has the id of `item`."""
        return replace(self, objects=tuple(item if o.id == item.id else o for o in self.objects))

    def begun(self) -> Self:
        """Append a new, empty, active object and drop any other empty one."""
        kept = tuple(item for item in self.objects if item.has_prompts)
        used = [item.colour for item in kept]
        colour = min(PALETTE, key=used.count)
        item = self.made(self.next_id, f"object {self.next_id}", colour)
        return replace(self, objects=(*kept, item), active=item.id, next_id=self.next_id + 1)

    def committed(self, name: str | None = None) -> Self:
        """Finish the active object, perhaps under a name, and begin the next one."""
        if not self.item().has_prompts:
            raise ValueError("there is nothing to commit yet: click on an object or draw a box")
        named = self if name is None else self.renamed(self.active, name)
        return named.begun()

    def selected(self, object_id: int) -> Self:
        """Make another object active; the previous one is dropped if it is empty."""
        wanted = self.item(object_id).id
        kept = tuple(item for item in self.objects if item.has_prompts or item.id == wanted)
        return replace(self, objects=kept, active=wanted)

    def renamed(self, object_id: int, name: str) -> Self:
        """Rename an object; runs of spaces and line ends become single spaces."""
        tidy = " ".join(str(name).split())
        if not tidy:
            raise ValueError("name is empty; wanted at least one letter")
        return self.changed(replace(self.item(object_id), name=tidy))

    def recoloured(self, object_id: int, colour: str) -> Self:
        """Give an object another colour, as #rrggbb."""
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", str(colour)):
            raise ValueError(f"colour is {colour!r}; wanted #rrggbb, such as {PALETTE[0]}")
        return self.changed(replace(self.item(object_id), colour=colour.lower()))

    def hid(self, object_id: int, hidden: bool) -> Self:
        """Hide an object, or show it again."""
        return self.changed(replace(self.item(object_id), hidden=hidden))

    def deleted(self, object_id: int) -> Self:
        """Remove an object; if it was active, a new, empty one becomes active."""
        gone = self.item(object_id)
        left = replace(self, objects=tuple(item for item in self.objects if item is not gone))
        return left.begun() if gone.id == self.active else left


@dataclass(frozen=True)
class State(Objects[Item]):
    """All objects on one photo at one moment.

    >>> from sam2lab.widgets.session.prompts import Point
    >>> state = State.fresh().with_prompts((Point(3, 4),)).committed()
    >>> [(item.name, len(item.prompts)) for item in state.objects], state.active
    ([('object 1', 1), ('object 2', 0)], 2)
    """

    @staticmethod
    def made(object_id: int, name: str, colour: str) -> Item:
        return Item(object_id, name, colour)

    def with_prompts(self, prompts: tuple[Prompt, ...]) -> State:
        """Replace the active object's prompts."""
        return self.changed(self.item().prompted(prompts))
