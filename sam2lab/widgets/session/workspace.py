"""The photos of a session and the answers of its engines to the objects on them."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import NamedTuple

from sam2lab.runtime.embedding import ImageEmbedding
from sam2lab.runtime.images import RGB, ImageLike
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.session.base import BaseSession
from sam2lab.widgets.session.engines import Engines
from sam2lab.widgets.session.history import History
from sam2lab.widgets.session.objects import Item, Question, State
from sam2lab.widgets.session.pictures import Page, Picture, open_picture
from sam2lab.widgets.session.prompts import Prompt


class Timings(NamedTuple):
    """How long the answer to the active object took; None where nothing was asked yet.

    `encode_ms` is the time to encode the photo with this engine, cache lookup included. If
    `from_cache` is true, the answer was known already and `decode_ms` is from when it was made.
    """

    encode_ms: float | None = None
    decode_ms: float | None = None
    from_cache: bool = False


class Workspace(BaseSession[State, Item]):
    """The base of `Session`, which adds answers, files and formats."""

    def __init__(
        self, segmenters: Segmenter | Mapping[str, Segmenter], image: ImageLike | None = None
    ) -> None:
        self._engines = Engines(segmenters)
        super().__init__(self._engines)
        self._pages: dict[str, Page] = {}
        self._page: Page | None = None
        self._photo: RGB | None = None
        self._timings = Timings()
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
    def timings(self) -> Timings:
        """How long the answer to the active object took."""
        return self._timings._replace(encode_ms=self._engines.encode_ms(self._engine))

    @property
    def segmenters(self) -> Mapping[str, Segmenter]:
        """All Segmenters by the names of their engines."""
        return self._engines.segmenters

    @property
    def segmenter(self) -> Segmenter:
        """The Segmenter of the engine that answers."""
        return self.segmenters[self._engine]

    @property
    def embedding(self) -> ImageEmbedding:
        """What the engine that answers has made of the open photo; it encodes it if need be."""
        return self._engines.embedding(self._engine)

    def is_encoded(self, engine: str | None = None) -> bool:
        """Whether an engine has encoded the open photo, so that answers come at once."""
        name = self._engine if engine is None else self._engines.check(engine)
        return self._engines.encode_ms(name) is not None

    def encode(self, engine: str | None = None) -> None:
        """Encode the open photo if that is still to do; safe to call in a thread.

        If another photo is opened meanwhile, the result is kept for when this one returns.
        """
        self._engines.embedding(self._engine if engine is None else self._engines.check(engine))

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

    @property
    def _open_page(self) -> Page:
        if self._page is None:
            raise ValueError("no image is open; open one with open_image(...)")
        return self._page

    @property
    def _history(self) -> History[State]:
        return self._open_page.history

    @property
    def is_open(self) -> bool:
        return self._page is not None

    def _prompts_in(self, state: State) -> tuple[Prompt, ...]:
        return state.item().prompts

    def _with_prompts(self, state: State, prompts: tuple[Prompt, ...]) -> State:
        return state.with_prompts(prompts)

    def _turn_to(self, page: Page, photo: RGB) -> None:
        self._page, self._photo, self._timings = page, photo, Timings()
        self._engines.show(photo)

    def _settle(self, state: State) -> tuple[State, set[str]]:
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
        return state, {name for name, differs in parts.items() if differs}

    def _ask(self, engine: str, state: State, known: Set[Question] = frozenset()) -> Timings:
        """Get all questions of `state` except `known` answered; time the active object's."""
        timings = Timings()
        for item in state.objects:
            if item.prompts and item.question not in known:
                answer, from_cache = self._engines.answer(engine, item)
                if item.id == state.active:
                    timings = Timings(None, answer.decode_ms, from_cache)
        return timings
