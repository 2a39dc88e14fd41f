"""Keeps embeddings and low-resolution masks by content; the least recently used leave first."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Generic, NamedTuple

import numpy as np

from sam2lab.runtime.embedding import ImageEmbedding
from sam2lab.runtime.engines.protocol import Float32, PromptBatch
from sam2lab.runtime.lru import BoundedMap, CacheInfo, K, V

if TYPE_CHECKING:
    from sam2lab.runtime.store import EmbeddingStore

MIB = 2**20


class _Cache(Generic[K, V]):
    """What both caches say of the map that they keep things in."""

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._map: BoundedMap[K, V] = BoundedMap(max_entries, max_bytes)

    def clear(self) -> None:
        """Forget what is in memory and the counts; files in a store stay."""
        self._map.clear()

    def info(self) -> CacheInfo:
        """Hits, misses, entries and bytes in memory, and the bounds."""
        return self._map.info()

    def __len__(self) -> int:
        return self.info().entries


class EmbeddingCache(_Cache[str, ImageEmbedding]):
    """Keeps `ImageEmbedding`s by their keys, in memory and, with a `store`, on disk as well.

    An embedding takes 16 MiB at 1024x1024, of tiny as of large, so the default bounds hold 32 of
    them. `max_entries=0` keeps nothing in memory. A find in the store counts as a hit. A store
    that cannot be written to is reported by a warning, and the work goes on.

    >>> from sam2lab.runtime.engines.protocol import Features
    >>> cache = EmbeddingCache()
    >>> sizes = [(1, 8, 4, 4), (1, 1, 16, 16), (1, 2, 8, 8)]
    >>> features = Features(*(np.zeros(size, np.float32) for size in sizes))
    >>> cache.put(ImageEmbedding("a1", (480, 640), "tiny", features))
    >>> cache.get("a1").image_size, cache.get("b2")
    ((480, 640), None)
    >>> cache.info()[:4]
    (1, 1, 1, 2048)
    """

    def __init__(
        self,
        max_entries: int = 256,
        max_bytes: int = 512 * MIB,
        store: EmbeddingStore | None = None,
    ) -> None:
        super().__init__(max_entries, max_bytes)
        self._store = store
        self._computing = Lock()

    def get(self, key: str) -> ImageEmbedding | None:
        """The embedding kept under a key, or None."""
        found = self._find(key)
        self._map.count(hits=found is not None, misses=found is None)
        return found

    def put(self, embedding: ImageEmbedding) -> None:
        """Keep an embedding in memory and in the store."""
        self._map.put(embedding.key, embedding)
        if self._store is not None:
            try:
                self._store.put(embedding)
            except OSError as error:
                warnings.warn(f"Embeddings are not kept on disk: {error}", stacklevel=2)

    def get_or_compute(
        self,
        keys: Sequence[str],
        compute: Callable[[list[str]], Iterable[ImageEmbedding]],
    ) -> list[ImageEmbedding]:
        """Embeddings for `keys`, in order; `compute` makes those that are not kept.

        `compute` gets the missing keys, each once, and yields one embedding for each in the same
        order; what it has yielded is kept even if it then fails. One thread computes at a time,
        so two never encode the same image: one encoder uses every core, and a second one beside
        it only adds to the memory.
        """
        found = self._find_all(dict.fromkeys(keys))
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        self._map.count(hits=len(found))
        if missing:
            with self._computing:
                # Another thread may have made them while this one waited.
                made = self._find_all(missing)
                missing = [key for key in missing if key not in made]
                self._map.count(hits=len(made), misses=len(missing))
                found |= made
                if missing:
                    for key, embedding in zip(missing, compute(missing), strict=True):
                        self.put(embedding)
                        found[key] = embedding
        return [found[key] for key in keys]

    def _find(self, key: str) -> ImageEmbedding | None:
        found = self._map.get(key)
        if found is None and self._store is not None:
            found = self._store.get(key)
            if found is not None:
                self._map.put(key, found)
        return found

    def _find_all(self, keys: Iterable[str]) -> dict[str, ImageEmbedding]:
        looked_up = ((key, self._find(key)) for key in keys)
        return {key: found for key, found in looked_up if found is not None}


Points = tuple[tuple[float, float, float], ...]


class MaskKey(NamedTuple):
    """One object's prompt on one image: each point is (x, y, label), points are sorted."""

    embedding_key: str
    box: Points
    points: Points


class LowResMaskCache(_Cache[MaskKey, Float32]):
    """Keeps the best low-resolution logits for a prompt on an image, to refine the next prompt.

    An image is named by its embedding's key. A prompt is a box or none, and points in any order;
    prompts are the same if all their numbers are, as float32. Only prompts for a single object
    without a `mask_input` take part: an answer about a given mask is not the answer to the clicks
    alone, and a given mask must not be replaced by a kept one. So save the prompt as the user
    gave it, without the mask that this cache put in.

    Logits of a 1024x1024 model take 0.25 MiB, so both default bounds hold 256 of them.

    >>> def clicks(*xy):
    ...     points = np.array([xy], np.float32)
    ...     return PromptBatch(points, np.ones(points.shape[:2], np.float32))
    >>> cache = LowResMaskCache()
    >>> cache.save("image", clicks((5, 5)), np.full((1, 256, 256), 7, np.float32))
    >>> cache.best_subset("image", clicks((5, 5)))
    >>> cache.best_subset("image", clicks((8, 9), (5, 5))).max()
    np.float32(7.0)
    """

    def __init__(self, max_entries: int = 256, max_bytes: int = 64 * MIB) -> None:
        super().__init__(max_entries, max_bytes)

    def save(self, embedding_key: str, prompts: PromptBatch, logits: Float32) -> None:
        """Remember `logits` (1, h, w), the mask chosen for `prompts` on this image."""
        if logits.ndim != 3 or len(logits) != 1:
            raise ValueError(
                f"logits must have shape (1, h, w), the one mask that was chosen, "
                f"not {logits.shape}: pick it first, as in logits[best : best + 1]."
            )
        key = _mask_key(embedding_key, prompts)
        if key is not None:
            # A copy, because the chosen mask is often a view that keeps all four in memory.
            self._map.put(key, np.array(logits, np.float32, order="C"))

    def best_subset(self, embedding_key: str, prompts: PromptBatch) -> Float32 | None:
        """The logits (1, h, w) of the largest strict subset of `prompts` on this image.

        A subset has the same box, or none if there is none, and fewer of the same points,
        each at most as often. Among equally large ones the most recently used wins. The
        array is the caller's own.
        """
        key = _mask_key(embedding_key, prompts)
        subset = None if key is None else self._largest_subset(key)
        logits = None if subset is None else self._map.get(subset)
        self._map.count(hits=logits is not None, misses=logits is None)
        return None if logits is None else logits.copy()

    def _largest_subset(self, key: MaskKey) -> MaskKey | None:
        wanted = Counter(key.points)
        subsets = (
            kept
            # The most recently used come first, and `max` returns the first of equals.
            for kept in reversed(self._map.keys())
            if kept[:2] == key[:2]
            and len(kept.points) < len(key.points)
            and Counter(kept.points) <= wanted
        )
        return max(subsets, key=lambda kept: len(kept.points), default=None)


def _mask_key(embedding_key: str, prompts: PromptBatch) -> MaskKey | None:
    """The prompt as a key, or None where it is not kept."""
    if len(prompts.point_coords) != 1 or prompts.mask_input is not None:
        return None
    coords = np.asarray(prompts.point_coords[0], np.float32)
    labels = np.asarray(prompts.point_labels[0], np.float32)
    rows = [(x, y, label) for (x, y), label in zip(coords.tolist(), labels.tolist(), strict=True)]
    return MaskKey(
        embedding_key,
        box=tuple(row for row in rows if row[2] >= 2),
        points=tuple(sorted(row for row in rows if row[2] < 2)),
    )
