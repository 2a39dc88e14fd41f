"""Several engines by name, and those for one photo: each encodes it once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import TypeVar

from sam2lab.runtime.embedding import ImageEmbedding
from sam2lab.runtime.images import RGB
from sam2lab.runtime.masks import Mask
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.session.answers import Answer, Answers, decode
from sam2lab.widgets.session.objects import Item
from sam2lab.widgets.session.prompts import Prompt

T = TypeVar("T")


class EngineFailed(RuntimeError):
    """An engine raised while it encoded or answered; the session is unchanged.

    Only frames that a propagation of a video has done are kept.
    """


class Segmenters:
    """Segmenters by name, whose failures are told from a user's mistakes."""

    def __init__(self, segmenters: Segmenter | Mapping[str, Segmenter]) -> None:
        if isinstance(segmenters, Segmenter):
            info = segmenters.engine.info
            segmenters = {f"{info.name} {info.precision}": segmenters}
        if not isinstance(segmenters, Mapping) or not segmenters:
            raise ValueError(
                f"segmenters is {segmenters!r}; wanted a Segmenter, as sam2lab.open_segmenter "
                "gives, or several as {'name': segmenter}"
            )
        for name, segmenter in segmenters.items():
            if not isinstance(segmenter, Segmenter):
                raise ValueError(
                    f"segmenters[{name!r}] is a {type(segmenter).__name__}; wanted a Segmenter, "
                    "as sam2lab.open_segmenter gives"
                )
        self.segmenters = dict(segmenters)

    def check(self, name: str) -> str:
        """Return the name if there is such an engine, or raise a `ValueError`."""
        if name not in self.segmenters:
            known = ", ".join(map(repr, self.segmenters))
            raise ValueError(f"engine is {name!r}; wanted one of {known}")
        return name

    def _run(self, name: str, work: Callable[[], T], outcome: str = "nothing was changed") -> T:
        try:
            return work()
        # Each engine has errors of its own: onnxruntime, torch, a remote connection.
        except Exception as error:
            raise EngineFailed(
                f"the engine {name!r} failed ({type(error).__name__}: {error}); {outcome}: try "
                "again, or another engine"
            ) from error


class Engines(Segmenters):
    """The embedding that each engine has made of the open photo.

    The embeddings stay here while the photo is open; otherwise they are in the caches of the
    Segmenters.
    """

    def __init__(self, segmenters: Segmenter | Mapping[str, Segmenter]) -> None:
        super().__init__(segmenters)
        self.answers = Answers()
        self._photo: RGB | None = None
        self._encoded: dict[str, tuple[ImageEmbedding, float]] = {}
        self._lock = Lock()

    def show(self, photo: RGB) -> None:
        """Answer questions about this photo from now on."""
        with self._lock:
            self._photo, self._encoded = photo, {}

    def encode_ms(self, name: str) -> float | None:
        """How long encoding took, cache lookup included; None before it is done."""
        encoded = self._encoded.get(name)
        return None if encoded is None else encoded[1]

    def embedding(self, name: str) -> ImageEmbedding:
        """Return this engine's embedding of the photo; encode it now if that is still to do."""
        with self._lock:
            photo, encoded = self._photo, self._encoded
        if name in encoded:
            return encoded[name][0]
        if photo is None:
            raise ValueError("no image is open; open one with open_image(...)")
        start = time.perf_counter()
        # Without the lock, because it takes seconds. If another photo is opened meanwhile, this
        # dictionary is no longer the one that is read.
        (made,) = self._run(name, lambda: self.segmenters[name].embed_images(photo))
        encoded[name] = made, 1000 * (time.perf_counter() - start)
        return made

    def answer(self, name: str, item: Item) -> tuple[Answer, bool]:
        """Return the answer to an object's prompts, and whether it was in the cache."""
        embedding = self.embedding(name)
        return self._run(
            name,
            lambda: self.answers.get(
                name, self.segmenters[name], embedding, item.prompts, item.choice
            ),
        )

    def preview(self, name: str, item: Item, prompt: Prompt) -> Mask:
        """Return the mask that adding `prompt` would give; it is not cached."""
        before, _ = self.answer(name, item)
        embedding = self.embedding(name)
        prompts = (*item.prompts, prompt)
        segmenter = self.segmenters[name]
        return self._run(name, lambda: decode(segmenter, embedding, prompts, before)).mask
