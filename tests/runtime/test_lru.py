from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2lab.runtime.lru import BoundedMap

KEYS = "abcdef"
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(KEYS), st.integers(0, 12)),
        st.tuples(st.just("get"), st.sampled_from(KEYS), st.just(0)),
        st.tuples(st.just("clear"), st.just(""), st.just(0)),
    ),
    max_size=40,
)


class Naive:
    """A list of (key, value), oldest first, searched from end to end."""

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.max_entries, self.max_bytes = max_entries, max_bytes
        self.pairs: list[tuple[str, np.ndarray]] = []

    def size(self) -> int:
        return sum(value.nbytes for _, value in self.pairs)

    def get(self, key: str) -> np.ndarray | None:
        for pair in self.pairs:
            if pair[0] == key:
                self.pairs.remove(pair)
                self.pairs.append(pair)
                return pair[1]
        return None

    def put(self, key: str, value: np.ndarray) -> list[str]:
        self.pairs = [pair for pair in self.pairs if pair[0] != key]
        if value.nbytes > self.max_bytes or self.max_entries == 0:
            return [key]
        self.pairs.append((key, value))
        gone = []
        while len(self.pairs) > self.max_entries or self.size() > self.max_bytes:
            gone.append(self.pairs.pop(0)[0])
        return gone


class Sized:
    """A value that says how large it is, compared by identity."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes


@given(max_entries=st.integers(0, 5), max_bytes=st.integers(0, 20), operations=OPERATIONS)
def test_any_sequence_agrees_with_a_naive_list(max_entries, max_bytes, operations) -> None:
    fast, naive = BoundedMap(max_entries, max_bytes), Naive(max_entries, max_bytes)
    for operation, key, size in operations:
        if operation == "put":
            value = Sized(size)
            assert fast.put(key, value) == naive.put(key, value)
        elif operation == "get":
            assert fast.get(key) is naive.get(key)
        else:
            fast.clear()
            naive.pairs.clear()
        assert fast.keys() == [key for key, _ in naive.pairs]
        info = fast.info()
        assert (info.entries, info.bytes) == (len(naive.pairs), naive.size())


def test_exactly_the_bounds_are_kept() -> None:
    kept = BoundedMap(max_entries=2, max_bytes=20)
    assert kept.put("a", Sized(10)) == []
    assert kept.put("b", Sized(10)) == []
    assert kept.info()[2:] == (2, 20, 2, 20)


def test_a_value_too_large_drives_nothing_out() -> None:
    kept = BoundedMap(max_entries=3, max_bytes=20)
    kept.put("a", Sized(20))
    assert kept.put("b", Sized(21)) == ["b"]
    assert kept.keys() == ["a"]


def test_a_value_too_large_does_not_leave_the_one_it_replaces() -> None:
    kept = BoundedMap(max_entries=3, max_bytes=20)
    kept.put("a", Sized(20))
    kept.put("a", Sized(21))
    assert kept.get("a") is None
    assert kept.info().bytes == 0


def test_clearing_sets_the_counts_to_zero() -> None:
    kept = BoundedMap(max_entries=3, max_bytes=20)
    kept.count(hits=2, misses=3)
    assert kept.info()[:2] == (2, 3)
    kept.clear()
    assert kept.info()[:2] == (0, 0)


@pytest.mark.parametrize("name", ["max_entries", "max_bytes"])
@pytest.mark.parametrize("value", [-1, 1.5, 1e9, "8", None, True])
def test_a_bad_bound_is_named(name, value) -> None:
    bounds = {"max_entries": 1, "max_bytes": 1, name: value}
    with pytest.raises(ValueError, match=f"{name} .*{value}"):
        BoundedMap(**bounds)


def test_a_numpy_integer_is_a_bound() -> None:
    assert BoundedMap(np.int64(3), np.int32(4)).info()[4:] == (3, 4)


class Yielding(str):
    """A key that lets another thread run whenever a map looks at it, so that races show."""

    __slots__ = ()

    def __hash__(self) -> int:
        time.sleep(0)
        return super().__hash__()


def test_eight_threads_never_see_the_bounds_broken_or_the_sum_wrong() -> None:
    kept = BoundedMap(max_entries=5, max_bytes=40)

    def hammer(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for number, size in zip(rng.integers(0, 12, 500), rng.integers(0, 15, 500), strict=True):
            key = Yielding(number)
            value = kept.get(key)
            kept.count(hits=value is not None, misses=value is None)
            if value is None:
                kept.put(key, Sized(int(size)))
            info = kept.info()
            assert info.entries <= 5
            assert info.bytes <= 40

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hammer, range(8)))
    info = kept.info()
    assert info.hits + info.misses == 8 * 500
    keys = kept.keys()
    assert info.bytes == sum(kept.get(key).nbytes for key in keys)
