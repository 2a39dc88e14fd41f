"""Undo and redo: the states before the present one, and those that were undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Self, TypeVar

S = TypeVar("S")


@dataclass
class History(Generic[S]):
    """Undo and redo without limit.

    `past` holds the states before the present one and `future` the undone ones, the nearest last
    in each. States share the objects that they have in common, so a long history is small.

    >>> history = History(0)
    >>> history.do(1)
    >>> history.undo()
    >>> history.present, history.future
    (0, [1])
    """

    present: S
    past: list[S] = field(default_factory=list)
    future: list[S] = field(default_factory=list)

    @classmethod
    def of(cls, states: Sequence[S], present: int) -> Self:
        """A history of states in the order of time, of which number `present` is the present."""
        if not 0 <= present < len(states):
            raise ValueError(f"its present is {present} of {len(states)} states")
        return cls(states[present], [*states[:present]], [*states[:present:-1]])

    @property
    def states(self) -> list[S]:
        """All states in the order of time; the present one is number `len(past)`."""
        return [*self.past, self.present, *reversed(self.future)]

    def do(self, state: S) -> None:
        """Go on to `state` and forget what was undone."""
        self.past.append(self.present)
        self.present = state
        self.future.clear()

    def undo(self) -> None:
        """Go back one state."""
        self.future.append(self.present)
        self.present = self.past.pop()

    def redo(self) -> None:
        """Go forward one state."""
        self.past.append(self.present)
        self.present = self.future.pop()
