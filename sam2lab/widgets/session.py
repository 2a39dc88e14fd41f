"""A click session: what a person did to photos, and what engines say to it. No widget here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import RLock
from typing import Literal, NamedTuple

import numpy as np

from sam2lab.runtime.images import RGB, ImageLike
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.answers import Answer
from sam2lab.widgets.engines import EngineFailed, Engines
from sam2lab.widgets.history import History
from sam2lab.widgets.objects import Item, Point, Prompt, State, box_on, nearest, point_on
from sam2lab.widgets.packed import Mask
from sam2lab.widgets.pictures import Page, Picture, open_picture

__all__ = ["Disagreement", "EngineFailed", "Session", "Timings"]

Mode = Literal["positive", "negative"]
Listener = Callable[[frozenset[str]], None]


class Timings(NamedTuple):
    """What the answer to the active object took, None where nothing was asked yet.

    `encode_ms` is of the photo with this engine, a look into the cache included. `from_cache`
    says that the answer was there already; `decode_ms` is from when it was made.
    """

    encode_ms: float | None = None
    decode_ms: float | None = None
    from_cache: bool = False


@dataclass(frozen=True, eq=False)
class Disagreement:
    """Where two engines differ: masks (H, W) of what only one of them says, and their IoU.

    Two empty masks agree: their IoU is 1.
    """

    only_a: Mask
    only_b: Mask
    iou: float


class Session:
    """Objects on photos, pointed out by prompts, answered by one engine at a time.

    `segmenters` is one Segmenter, or several by the names that `use_engine` shall know them
    by; `image` is anything that `images.read` takes. Coordinates are (x, y) in pixels of the
    photo, object ids are those of `objects`.

    Every action does all it says, or raises and leaves the session as it was: a `ValueError`
    says what is wrong with the arguments, `EngineFailed` that the engine had a problem.
    Whatever changes prompts, candidates and objects can be undone, without limit; engine,
    mode and photo are no part of that. Each photo has a history of its own, which is there
    again when the photo is opened again. Masks are never stored: they follow from prompts and
    engine, so undo works through any change of engine.

    Encoding a photo may take seconds, and the first action or read that needs an answer does
    it. To keep an interface responsive, call `encode` in a thread before, and until
    `is_encoded()` neither act nor read masks; all else is at once. Any method may be called
    from any thread. Listeners are called in the thread that acted.

    ```python
    session = Session(open_segmenter("nano"), "cat.jpg")
    session.add_point(180, 200)
    session.mask, session.score
    session.commit("cat")
    session.undo()
    ```
    """

    def __init__(
        self, segmenters: Segmenter | Mapping[str, Segmenter], image: ImageLike | None = None
    ) -> None:
        self._engines = Engines(segmenters)
        self._engine = next(iter(self._engines.segmenters))
        self._mode: Mode = "positive"
        self._pages: dict[str, Page] = {}
        self._page: Page | None = None
        self._photo: RGB | None = None
        self._timings = Timings()
        self._listeners: list[Listener] = []
        self._lock = RLock()
        if image is not None:
            self.open_image(image)

    @property
    def image(self) -> Picture | None:
        """The photo that is open."""
        return self._page.picture if self._page else None

    @property
    def images(self) -> tuple[Picture, ...]:
        """Every photo so far; `open_image` takes one back."""
        return tuple(page.picture for page in self._pages.values())

    @property
    def photo(self) -> RGB:
        """The open photo's pixels, (H, W, 3), RGB."""
        if self._photo is None:
            raise ValueError("no image is open; open one with open_image(...)")
        return self._photo

    @property
    def engine(self) -> str:
        """The name of the engine that answers."""
        return self._engine

    @property
    def engines(self) -> tuple[str, ...]:
        """The names of all engines."""
        return tuple(self._engines.segmenters)

    @property
    def mode(self) -> Mode:
        """What a click says unless told otherwise."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        if mode not in ("positive", "negative"):
            raise ValueError(f"mode is {mode!r}; wanted 'positive' or 'negative'")
        self._mode = mode
        self._tell({"mode"})

    @property
    def timings(self) -> Timings:
        """What the answer that is shown took."""
        return self._timings._replace(encode_ms=self._engines.encode_ms(self._engine))

    @property
    def state(self) -> State:
        """All objects with their prompts at this moment, immutable."""
        return self._history.present

    @property
    def objects(self) -> tuple[Item, ...]:
        """All objects, the active one among them; it may still be without prompts."""
        return self.state.objects

    @property
    def active(self) -> Item:
        """The object that takes the next prompt."""
        return self.state.item()

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The active object's prompts, in the order in which they were given."""
        return self.active.prompts

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return bool(self._page and self._history.past)

    @property
    def can_redo(self) -> bool:
        """Whether something was undone."""
        return bool(self._page and self._history.future)

    def answer(self, object_id: int | None = None, engine: str | None = None) -> Answer:
        """What an engine says to an object, by default the one in use to the active one."""
        name = self._engine if engine is None else self._engines.check(engine)
        with self._lock:
            return self._engines.answer(name, self.state.item(object_id))[0]

    @property
    def mask(self) -> Mask:
        """The active object's mask, (H, W)."""
        return self.answer().mask

    @property
    def score(self) -> float | None:
        """The active object's predicted IoU; None while there is no object."""
        return self.answer().score

    @property
    def area(self) -> int:
        """Pixels of the active object's mask."""
        return self.answer().area

    @property
    def candidates(self) -> list[Mask]:
        """The masks that `choose` chooses from: three after a single click, else one or none."""
        return self.answer().masks

    @property
    def masks(self) -> dict[int, Mask]:
        """The mask (H, W) of every object that has prompts, by its id, hidden ones as well."""
        return {item.id: self.answer(item.id).mask for item in self.objects if item.prompts}

    def preview(self, x: float, y: float, positive: bool | None = None) -> Mask:
        """The active object's mask if this point were added; nothing is."""
        with self._lock:
            point = point_on(self.photo.shape[:2], x, y, self._sign(positive))
            return self._engines.preview(self._engine, self.active, point)

    def disagreement(self, a: str, b: str, object_id: int | None = None) -> Disagreement:
        """Where engines `a` and `b` differ about an object, by default the active one."""
        ours, theirs = (self.answer(object_id, engine).mask for engine in (a, b))
        either = np.count_nonzero(ours | theirs)
        iou = np.count_nonzero(ours & theirs) / either if either else 1.0
        return Disagreement(ours & ~theirs, theirs & ~ours, float(iou))

    def prompt_at(self, x: float, y: float, radius: float) -> int | None:
        """The index of the active object's prompt within `radius` pixels: see `nearest`."""
        return nearest(self.prompts, x, y, radius)

    def is_encoded(self, engine: str | None = None) -> bool:
        """Whether the open photo has been encoded, so that answers come at once."""
        name = self._engine if engine is None else self._engines.check(engine)
        return self._engines.encode_ms(name) is not None

    def encode(self, engine: str | None = None) -> None:
        """Encode the open photo, if it was not; made to be called in a thread.

        If another photo is opened meanwhile, then the result is kept for its return.
        """
        self._engines.embedding(self._engine if engine is None else self._engines.check(engine))

    def add_point(self, x: float, y: float, positive: bool | None = None) -> None:
        """Point at the active object, or beside it; `mode` says which unless told here."""
        point = point_on(self.photo.shape[:2], x, y, self._sign(positive))
        self._act(lambda state: state.with_prompts((*state.item().prompts, point)))

    def add_box(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Draw a box around the active object; an object has one, so an earlier one goes."""
        box = box_on(self.photo.shape[:2], x0, y0, x1, y1)

        def drawn(state: State) -> State:
            points = (prompt for prompt in state.item().prompts if isinstance(prompt, Point))
            return state.with_prompts((*points, box))

        self._act(drawn)

    def remove_prompt(self, index: int) -> None:
        """Take back one of the active object's `prompts`; those after it are answered anew."""

        def removed(state: State) -> State:
            prompts = state.item().prompts
            if not 0 <= index < len(prompts):
                raise ValueError(f"index is {index}; wanted 0 to {len(prompts) - 1}")
            return state.with_prompts(prompts[:index] + prompts[index + 1 :])

        self._act(removed)

    def clear(self) -> None:
        """Take back all prompts of the active object."""
        self._act(lambda state: state.with_prompts(()))

    def choose(self, index: int) -> None:
        """Choose one of `candidates`, in place of the best-scored one."""
        count = len(self.answer().scores)
        if not 0 <= index < count:
            raise ValueError(f"index is {index}; there are {count} candidates, the first is 0")
        if count > 1:
            self._act(lambda state: state.changed(replace(state.item(), choice=int(index))))

    def commit(self, name: str | None = None) -> None:
        """The active object is done, perhaps under a name: go on to a new one."""
        self._act(lambda state: state.committed(name))

    def select(self, object_id: int) -> None:
        """Make an object active, for further prompts; the one left is dropped if empty."""
        self._act(lambda state: state.selected(object_id))

    def rename(self, object_id: int, name: str) -> None:
        """Call an object otherwise; several may have the same name."""
        self._act(lambda state: state.renamed(object_id, name))

    def recolour(self, object_id: int, colour: str) -> None:
        """Show an object in another colour, #rrggbb."""
        self._act(lambda state: state.recoloured(object_id, colour))

    def hide(self, object_id: int) -> None:
        """Do not draw an object; it is still there."""
        self._act(lambda state: state.hid(object_id, True))

    def show(self, object_id: int) -> None:
        """Draw an object again."""
        self._act(lambda state: state.hid(object_id, False))

    def delete(self, object_id: int) -> None:
        """Remove an object; if it was active, then a new one is."""
        self._act(lambda state: state.deleted(object_id))

    def undo(self) -> None:
        """Take the latest action back; nothing happens where there is none."""
        with self._lock:
            if not self.can_undo:
                return
            changes = self._settle(self._history.past[-1])
            self._history.undo()
        self._tell(changes)

    def redo(self) -> None:
        """Do again what was undone last; nothing happens where there is nothing."""
        with self._lock:
            if not self.can_redo:
                return
            changes = self._settle(self._history.future[-1])
            self._history.redo()
        self._tell(changes)

    def use_engine(self, name: str) -> None:
        """Let another engine answer the same prompts."""
        self._engines.check(name)
        with self._lock:
            asked = [item for item in self.objects if item.prompts] if self._page else []
            answers = {item.id: self._engines.answer(name, item) for item in asked}
            self._engine = name
            self._timings = Timings()
            if self._page and self.active.id in answers:
                self._time(*answers[self.active.id])
        self._tell({"engine", "masks"})

    def open_image(self, image: ImageLike | Picture, name: str | None = None) -> None:
        """Turn to another photo; one that was open before, by content, finds its objects again.

        It is not encoded yet. `name` is for photos that have no file name.
        """
        if isinstance(image, Picture):
            picture, photo = image, image.read()
        else:
            picture, photo = open_picture(image, name)
        with self._lock:
            self._page = self._pages.setdefault(picture.key, Page(picture))
            self._photo = photo
            self._timings = Timings()
            self._engines.show(photo)
        self._tell({"image", "objects", "active", "prompts", "masks"})

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after every change, until the function returned here is called.

        It gets a set with some of: "image", "engine", "mode", "objects" (the list or anything
        in it), "active" (which one it is), "prompts" (of the active one), "masks" (of any).
        """
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    @property
    def _history(self) -> History:
        if self._page is None:
            raise ValueError("no image is open; open one with open_image(...)")
        return self._page.history

    def _sign(self, positive: bool | None) -> bool:
        return self._mode == "positive" if positive is None else bool(positive)

    def _act(self, action: Callable[[State], State]) -> None:
        """Go to the state that `action` makes of the present one."""
        with self._lock:
            state = action(self.state)
            if state == self.state:
                return
            changes = self._settle(state)
            self._history.do(state)
        self._tell(changes)

    def _settle(self, state: State) -> set[str]:
        """Have all that `state` asks anew answered, before anything changes; say what will."""
        before = {item.id: (item.prompts, item.choice) for item in self.objects}
        asked = [
            item for item in state.objects if before.get(item.id) != (item.prompts, item.choice)
        ]
        answers = {
            item.id: self._engines.answer(self._engine, item) for item in asked if item.prompts
        }
        changes = set()
        if state.objects != self.objects:
            changes.add("objects")
        if state.active != self.state.active:
            changes.add("active")
        if state.item().prompts != self.prompts:
            changes.add("prompts")
        if {(i.id, i.prompts, i.choice) for i in state.objects} != {
            (i.id, i.prompts, i.choice) for i in self.objects
        }:
            changes.add("masks")
        if state.active in answers:
            self._time(*answers[state.active])
        return changes

    def _time(self, answer: Answer, from_cache: bool) -> None:
        self._timings = Timings(None, answer.decode_ms, from_cache)

    def _tell(self, changes: set[str]) -> None:
        for listener in tuple(self._listeners):
            listener(frozenset(changes))
