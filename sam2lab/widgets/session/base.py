"""What sessions on photos and on videos have in common: actions on objects, undo, listeners."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from threading import RLock
from typing import Any, Generic, Literal, TypeVar

from sam2lab.runtime.images import RGB
from sam2lab.widgets.session.engines import Segmenters
from sam2lab.widgets.session.history import History
from sam2lab.widgets.session.objects import Labelled, Objects
from sam2lab.widgets.session.prompts import Point, Prompt, box_on, nearest, point_on

Mode = Literal["positive", "negative"]
Listener = Callable[[frozenset[str]], None]
S = TypeVar("S", bound=Objects[Any])
T = TypeVar("T", bound=Labelled)


class BaseSession(ABC, Generic[S, T]):
    """Makes every change: first the engine answers, then the state changes, then listeners run.

    So an engine that fails leaves everything as it was. S is the class of the state, T that of
    its objects.
    """

    def __init__(self, engines: Segmenters) -> None:
        self._engine = next(iter(engines.segmenters))
        self._names = tuple(engines.segmenters)
        self._mode: Mode = "positive"
        self._listeners: list[Listener] = []
        self._lock = RLock()

    @property
    @abstractmethod
    def photo(self) -> RGB:
        """The pixels that prompts point at, (H, W, 3), RGB."""

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether there is something to work on."""

    @property
    @abstractmethod
    def _history(self) -> History[S]:
        """The states; it raises a `ValueError` where nothing is open."""

    @abstractmethod
    def _prompts_in(self, state: S) -> tuple[Prompt, ...]:
        """The prompts that the next one is added to."""

    @abstractmethod
    def _with_prompts(self, state: S, prompts: tuple[Prompt, ...]) -> S:
        """Replace those prompts."""

    @abstractmethod
    def _settle(self, state: S) -> tuple[S, set[str]]:
        """Get the new questions of `state` answered; return it and what will change."""

    @property
    def engine(self) -> str:
        """The name of the engine that answers."""
        return self._engine

    @property
    def engines(self) -> tuple[str, ...]:
        """The names of all engines."""
        return self._names

    @property
    def mode(self) -> Mode:
        """The sign of a click that does not say its own."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        if mode not in ("positive", "negative"):
            raise ValueError(f"mode is {mode!r}; wanted 'positive' or 'negative'")
        self._mode = mode
        self._tell({"mode"})

    @property
    def state(self) -> S:
        """All objects with their prompts at this moment; it is immutable."""
        return self._history.present

    @property
    def objects(self) -> tuple[T, ...]:
        """All objects, including the active one, which may have no prompts yet."""
        return self.state.objects

    @property
    def active(self) -> T:
        """The object that takes the next prompt."""
        return self.state.item()

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The active object's prompts, in the order of time."""
        return self._prompts_in(self.state)

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return self.is_open and bool(self._history.past)

    @property
    def can_redo(self) -> bool:
        """Whether something was undone."""
        return self.is_open and bool(self._history.future)

    def undo(self) -> None:
        """Take the latest action back, if there is one."""
        with self._lock:
            if not self.can_undo:
                return
            state, changes = self._settle(self._history.past[-1])
            self._history.undo()
            self._history.present = state
        self._tell(changes)

    def redo(self) -> None:
        """Redo the action that was undone last, if there is one."""
        with self._lock:
            if not self.can_redo:
                return
            state, changes = self._settle(self._history.future[-1])
            self._history.redo()
            self._history.present = state
        self._tell(changes)

    def prompt_at(self, x: float, y: float, radius: float) -> int | None:
        """The index of the active object's prompt within `radius` pixels, or None."""
        return nearest(self.prompts, x, y, radius)

    def add_point(self, x: float, y: float, positive: bool | None = None) -> None:
        """Add a point to the active object; `positive` is as `mode` says, unless given."""
        point = point_on(self.photo.shape[:2], x, y, self._sign(positive))
        self._act(lambda state: self._with_prompts(state, (*self._prompts_in(state), point)))

    def add_box(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Draw a box around the active object; it replaces the box that is there."""
        box = box_on(self.photo.shape[:2], x0, y0, x1, y1)

        def drawn(state: S) -> S:
            points = (prompt for prompt in self._prompts_in(state) if isinstance(prompt, Point))
            return self._with_prompts(state, (*points, box))

        self._act(drawn)

    def remove_prompt(self, index: int) -> None:
        """Remove one of the active object's `prompts`; those after it are answered anew."""

        def removed(state: S) -> S:
            prompts = self._prompts_in(state)
            if not 0 <= index < len(prompts):
                raise ValueError(
                    f"index is {index}; there are {len(prompts)} prompts, the first is 0"
                )
            return self._with_prompts(state, prompts[:index] + prompts[index + 1 :])

        self._act(removed)

    def clear(self) -> None:
        """Remove all of the active object's `prompts`."""
        self._act(lambda state: self._with_prompts(state, ()))

    def commit(self, name: str | None = None) -> None:
        """Finish the active object, perhaps under a name, and begin a new one."""
        self._act(lambda state: state.committed(name))

    def select(self, object_id: int) -> None:
        """Make an object active; the previous one is dropped if it is empty."""
        self._act(lambda state: state.selected(object_id))

    def rename(self, object_id: int, name: str) -> None:
        """Rename an object; several may have the same name."""
        self._act(lambda state: state.renamed(object_id, name))

    def recolour(self, object_id: int, colour: str) -> None:
        """Show an object in another colour, #rrggbb."""
        self._act(lambda state: state.recoloured(object_id, colour))

    def hide(self, object_id: int) -> None:
        """Do not draw an object any more; it stays in the session."""
        self._act(lambda state: state.hid(object_id, True))

    def show(self, object_id: int) -> None:
        """Draw an object again."""
        self._act(lambda state: state.hid(object_id, False))

    def delete(self, object_id: int) -> None:
        """Remove an object; if it was active, a new one becomes active."""
        self._act(lambda state: state.deleted(object_id))

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after every change; the returned function ends that.

        The listener gets the set of what changed: "image" or "video" (another one is open),
        "frame" (another one is shown), "engine", "mode", "objects" (the list or anything in it),
        "active" (which object is), "prompts" (of the active object) and "masks" (of any object).
        """
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def _act(self, action: Callable[[S], S]) -> None:
        """Apply `action` to the present state, as a step that can be undone."""
        with self._lock:
            state = action(self.state)
            if state == self.state:
                return
            state, changes = self._settle(state)
            self._history.do(state)
        self._tell(changes)

    def _sign(self, positive: bool | None) -> bool:
        return self._mode == "positive" if positive is None else bool(positive)

    def _tell(self, changes: set[str]) -> None:
        for listener in tuple(self._listeners):
            listener(frozenset(changes))
