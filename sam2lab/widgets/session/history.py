"""Undo and redo without limit."""

from __future__ import annotations

from dataclasses import dataclass, field

from sam2lab.widgets.session.objects import State


@dataclass
class History:
    """The present state, the states before it and the undone ones, the nearest last in each list.

    States share the objects that they have in common, so a long history is small.

    >>> history = History()
    >>> start = history.present
    >>> history.do(start.begun())
    >>> history.undo()
    >>> history.present is start, len(history.future)
    (True, 1)
    """

    present: State = field(default_factory=State.fresh)
    past: list[State] = field(default_factory=list)
    future: list[State] = field(default_factory=list)

    def do(self, state: State) -> None:
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
