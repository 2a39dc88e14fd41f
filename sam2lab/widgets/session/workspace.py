"""The base of a session: photos, engines, undo and redo, and listeners."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from threading import RLock
from typing import Literal, NamedTuple

from sam2lab.runtime.images import RGB, ImageLike
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.session.engines import Engines
from sam2lab.widgets.session.objects import Question, State
from sam2lab.widgets.session.pictures import History, Page, Picture, open_picture

Mode = Literal["positive", "negative"]
Listener = Callable[[frozenset[str]], None]


class Timings(NamedTuple):
    """How long the answer to the active object took; None where nothing was asked yet.

    `encode_ms` is the time to encode the photo with this engine, cache lookup included. If
    `from_cache` is true, the answer was known already and `decode_ms` is from when it was made.
    """

    encode_ms: float | None = None
    decode_ms: float | None = None
    from_cache: bool = False


class Workspace:
    """Makes every change: first the engine answers, then the state changes, then listeners run.

    So an engine that fails leaves everything as it was. `Session` adds the actions of a user.
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
        """All photos opened so far; `open_image` accepts one of them again."""
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
        """The sign of a click that does not say its own."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        if mode not in ("positive", "negative"):
            raise ValueError(f"mode is {mode!r}; wanted 'positive' or 'negative'")
        self._mode = mode
        self._tell({"mode"})

    @property
    def timings(self) -> Timings:
        """How long the answer to the active object took."""
        return self._timings._replace(encode_ms=self._engines.encode_ms(self._engine))

    @property
    def state(self) -> State:
        """All objects with their prompts at this moment; it is immutable."""
        return self._history.present

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return bool(self._page and self._history.past)

    @property
    def can_redo(self) -> bool:
        """Whether something was undone."""
        return bool(self._page and self._history.future)

    def is_encoded(self, engine: str | None = None) -> bool:
        """Whether an engine has encoded the open photo, so that answers come at once."""
        name = self._engine if engine is None else self._engines.check(engine)
        return self._engines.encode_ms(name) is not None

    def encode(self, engine: str | None = None) -> None:
        """Encode the open photo if that is still to do; safe to call in a thread.

        If another photo is opened meanwhile, the result is kept for when this one returns.
        """
        self._engines.embedding(self._engine if engine is None else self._engines.check(engine))

    def undo(self) -> None:
        """Take the latest action back, if there is one."""
        with self._lock:
            if not self.can_undo:
                return
            changes = self._settle(self._history.past[-1])
            self._history.undo()
        self._tell(changes)

    def redo(self) -> None:
        """Redo the action that was undone last, if there is one."""
        with self._lock:
            if not self.can_redo:
                return
            changes = self._settle(self._history.future[-1])
            self._history.redo()
        self._tell(changes)

    def use_engine(self, name: str) -> None:
        """Let another engine answer, with the same prompts."""
        self._engines.check(name)
        with self._lock:
            if self._page:
                self._timings = self._ask(name, self.state)
            self._engine = name
        self._tell({"engine", "masks"})

    def open_image(self, image: ImageLike | Picture, name: str | None = None) -> None:
        """Open a photo; one with the pixels of an earlier photo gets its objects back.

        This does not encode it. `name` is for photos that have no file name.
        """
        if isinstance(image, Picture):
            picture, photo = image, image.read()
        else:
            picture, photo = open_picture(image, name)
        with self._lock:
            self._turn_to(self._pages.setdefault(picture.key, Page(picture)), photo)
        self._tell({"image", "objects", "active", "prompts", "masks"})

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after every change; the returned function ends that.

        The listener gets the set of what changed: "image", "engine", "mode", "objects" (the
        list or anything in it), "active" (which object is), "prompts" (of the active object)
        and "masks" (of any object).
        """
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    @property
    def _open_page(self) -> Page:
        if self._page is None:
            raise ValueError("no image is open; open one with open_image(...)")
        return self._page

    @property
    def _history(self) -> History:
        return self._open_page.history

    def _turn_to(self, page: Page, photo: RGB) -> None:
        self._page, self._photo, self._timings = page, photo, Timings()
        self._engines.show(photo)

    def _act(self, action: Callable[[State], State]) -> None:
        """Apply `action` to the present state, as a step that can be undone."""
        with self._lock:
            state = action(self.state)
            if state == self.state:
                return
            changes = self._settle(state)
            self._history.do(state)
        self._tell(changes)

    def _settle(self, state: State) -> set[str]:
        """Get the new questions of `state` answered, and return what will change."""
        here = self.state
        known = {item.question for item in here.objects}
        parts = {
            "objects": state.objects != here.objects,
            "active": state.active != here.active,
            "prompts": state.item().prompts != here.item().prompts,
            "masks": {item.question for item in state.objects} != known,
        }
        renewed = parts["active"] or state.item().question not in known
        timings = self._ask(
            self._engine, state, known - {state.item().question} if renewed else known
        )
        if renewed:
            self._timings = timings
        return {name for name, differs in parts.items() if differs}

    def _ask(self, engine: str, state: State, known: Set[Question] = frozenset()) -> Timings:
        """Get all questions of `state` except `known` answered; time the active object's."""
        timings = Timings()
        for item in state.objects:
            if item.prompts and item.question not in known:
                answer, from_cache = self._engines.answer(engine, item)
                if item.id == state.active:
                    timings = Timings(None, answer.decode_ms, from_cache)
        return timings

    def _tell(self, changes: set[str]) -> None:
        for listener in tuple(self._listeners):
            listener(frozenset(changes))
