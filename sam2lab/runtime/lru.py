"""A map bounded in entries and bytes, safe under threads, which every cache is built on."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Generic, NamedTuple, Protocol, TypeVar

from sam2lab.runtime.arguments import whole


class CacheInfo(NamedTuple):
    """How a cache has done since it was made or cleared, what it holds, and its bounds."""

    hits: int
    misses: int
    entries: int
    bytes: int
    max_entries: int
    max_bytes: int


class HasBytes(Protocol):
    """Anything that knows its size in memory."""

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        ...


K = TypeVar("K")
V = TypeVar("V", bound=HasBytes)


class BoundedMap(Generic[K, V]):
    """A thread-safe map of at most `max_entries` values and `max_bytes` bytes, 0 for none.

    The least recently used value leaves first. Counting is a call of its own, because a cache
    built on this map may look elsewhere before a lookup counts as a miss.

    >>> kept = BoundedMap(max_entries=2, max_bytes=100)
    >>> kept.put("a", memoryview(bytes(10))), kept.put("b", memoryview(bytes(20)))
    ([], [])
    >>> kept.get("a").nbytes
    10
    >>> kept.put("c", memoryview(bytes(30)))
    ['b']
    """

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.max_entries = whole("max_entries", max_entries, 0)
        self.max_bytes = whole("max_bytes", max_bytes, 0)
        self._lock = Lock()
        # Sizes are kept beside values, so that the sum stays right if a value's size changes.
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._bytes = self._hits = self._misses = 0

    def get(self, key: K) -> V | None:
        """The value kept for `key`, which becomes the most recently used, or None."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: K, value: V) -> list[K]:
        """Keep `value` in place of any earlier one; return the keys no longer kept.

        A value larger than `max_bytes` is not kept and removes nothing else: then `key` itself is
        returned.
        """
        size = value.nbytes
        with self._lock:
            if key in self._kept:
                self._bytes -= self._kept.pop(key)[1]
            if size > self.max_bytes or self.max_entries == 0:
                return [key]
            self._kept[key] = value, size
            self._bytes += size
            gone = []
            while len(self._kept) > self.max_entries or self._bytes > self.max_bytes:
                oldest, (_, freed) = self._kept.popitem(last=False)
                self._bytes -= freed
                gone.append(oldest)
            return gone

    def count(self, *, hits: int = 0, misses: int = 0) -> None:
        """Add to the counters."""
        with self._lock:
            self._hits += hits
            self._misses += misses

    def clear(self) -> None:
        """Forget every value and set the counters to zero."""
        with self._lock:
            self._kept.clear()
            self._bytes = self._hits = self._misses = 0

    def info(self) -> CacheInfo:
        """Counters, contents and bounds at one moment."""
        with self._lock:
            return CacheInfo(
                hits=self._hits,
                misses=self._misses,
                entries=len(self._kept),
                bytes=self._bytes,
                max_entries=self.max_entries,
                max_bytes=self.max_bytes,
            )

    def keys(self) -> list[K]:
        """The keys kept, the least recently used first."""
        with self._lock:
            return list(self._kept)
