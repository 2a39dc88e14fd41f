"""Embeddings and low-resolution masks are kept by content, within bounds and under threads."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2lab.runtime.cache import EmbeddingCache, LowResMaskCache
from sam2lab.runtime.embedding import ImageEmbedding
from sam2lab.runtime.engines.protocol import Features, PromptBatch
from sam2lab.runtime.store import EmbeddingStore


def embedding(name: str = "a1", side: int = 1) -> ImageEmbedding:
    sizes = [(1, 8, side, side), (1, 1, 4 * side, 4 * side), (1, 2, 2 * side, 2 * side)]
    features = Features(*(np.full(size, side, np.float32) for size in sizes))
    return ImageEmbedding(name, (3, 5), "model", features)


def prompt(*points, box=None, objects=1, mask=None) -> PromptBatch:
    """`points` are (x, y, label), `box` is (x0, y0, x1, y1)."""
    corners = [] if box is None else [(*box[:2], 2), (*box[2:], 3)]
    rows = np.array([*corners, *points], np.float32).reshape(1, -1, 3).repeat(objects, 0)
    return PromptBatch(rows[..., :2], rows[..., 2], mask)


def logits(value: float, side: int = 2) -> np.ndarray:
    return np.full((1, side, side), value, np.float32)


def value_of(found) -> float | None:
    return None if found is None else float(found.max())


class TestEmbeddingCache:
    def test_a_hit_protects_from_eviction(self) -> None:
        cache = EmbeddingCache(max_entries=2)
        cache.put(embedding("a"))
        cache.put(embedding("b"))
        cache.get("a")
        cache.put(embedding("c"))
        assert [cache.get(key) is not None for key in "abc"] == [True, False, True]

    def test_the_default_bounds_hold_32_images_of_the_tiny_model(self) -> None:
        tiny = 4 * (256 * 64 * 64 + 32 * 256 * 256 + 64 * 128 * 128)
        assert EmbeddingCache().info().max_bytes // tiny == 32

    def test_no_entries_switches_it_off(self) -> None:
        cache = EmbeddingCache(max_entries=0)
        cache.put(embedding("a"))
        assert cache.get("a") is None
        assert cache.info()[:4] == (0, 1, 0, 0)

    def test_a_store_answers_after_the_memory_has_forgotten(self, tmp_path) -> None:
        cache = EmbeddingCache(store=EmbeddingStore(tmp_path))
        cache.put(embedding("a1"))
        cache.clear()
        assert cache.get("a1").image_size == (3, 5)
        assert len(cache) == 1
        assert cache.get("b2") is None
        assert cache.info()[:2] == (1, 1)

    def test_a_store_that_cannot_be_written_to_does_not_stop_the_work(self, tmp_path) -> None:
        cache = EmbeddingCache(store=EmbeddingStore(tmp_path / "file" / "below"))
        (tmp_path / "file").write_text("in the way")
        with pytest.warns(UserWarning, match="not kept on disk"):
            cache.put(embedding("a1"))
        assert cache.get("a1") is not None


class TestGetOrCompute:
    def test_only_what_is_missing_is_computed_once_and_in_order(self) -> None:
        cache = EmbeddingCache()
        cache.put(embedding("b"))
        asked = []

        def compute(keys):
            asked.append(keys)
            return map(embedding, keys)

        found = cache.get_or_compute(["c", "b", "a", "c"], compute)
        assert [one.key for one in found] == ["c", "b", "a", "c"]
        assert asked == [["c", "a"]]
        assert cache.info()[:2] == (1, 2)
        cache.get_or_compute(["a", "b", "c"], compute)
        assert len(asked) == 1

    def test_more_images_than_the_cache_holds_all_come_back(self) -> None:
        cache = EmbeddingCache(max_entries=1)
        found = cache.get_or_compute(list("abcd"), lambda keys: map(embedding, keys))
        assert [one.key for one in found] == list("abcd")

    def test_a_failure_keeps_what_was_made_and_lets_others_try(self) -> None:
        cache = EmbeddingCache()

        def fail_at_the_second(keys):
            yield embedding(keys[0])
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            cache.get_or_compute(["a", "b"], fail_at_the_second)
        assert cache.get_or_compute(["a"], lambda keys: pytest.fail("a was made"))
        found = cache.get_or_compute(["a", "b"], lambda keys: map(embedding, keys))
        assert [one.key for one in found] == ["a", "b"]

    def test_eight_threads_compute_each_image_once(self) -> None:
        cache = EmbeddingCache()
        start = threading.Barrier(8)
        made: list[str] = []

        def compute(keys):
            for key in keys:
                time.sleep(0.001)  # long enough for others to come and ask for the same
                made.append(key)
                yield embedding(key)

        def work(seed: int) -> None:
            keys = [f"{n:02x}" for n in np.random.default_rng(seed).permutation(20)]
            start.wait()
            for pair in pairwise(keys):
                found = cache.get_or_compute(pair, compute)
                assert [one.key for one in found] == list(pair)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        assert sorted(made) == [f"{n:02x}" for n in range(20)]
        info = cache.info()
        assert info.misses == 20
        assert info.hits + info.misses == 8 * 19 * 2


POINTS = st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 1))
PROMPTS = st.tuples(
    st.sampled_from(["one", "two"]),
    st.sampled_from([None, (0, 0, 2, 2), (0, 0, 2, 1)]),
    st.lists(POINTS, max_size=4),
)


class NaiveMasks:
    """A list of saved prompts, oldest first; subsets are found by crossing points off."""

    def __init__(self, max_entries: int) -> None:
        self.max_entries = max_entries
        self.saved: list[tuple[tuple, float]] = []

    @staticmethod
    def key(asked: tuple) -> tuple:
        image, box, points = asked
        return image, box, sorted(points)

    def save(self, asked: tuple, value: float) -> None:
        self.saved = [pair for pair in self.saved if pair[0] != self.key(asked)]
        self.saved = [*self.saved, (self.key(asked), value)][-self.max_entries :]

    def best_subset(self, asked: tuple) -> float | None:
        image, box, points = asked
        best = None
        for pair in self.saved:
            (saved_image, saved_box, saved_points), _ = pair
            left = list(points)
            for point in saved_points:
                if point in left:
                    left.remove(point)
                else:
                    break
            else:
                same = (saved_image, saved_box) == (image, box)
                if same and left and (best is None or len(saved_points) >= len(best[0][2])):
                    best = pair
        if best is None:
            return None
        self.saved.remove(best)
        self.saved.append(best)
        return best[1]


class TestLowResMaskCache:
    @given(st.integers(1, 6), st.lists(st.tuples(st.booleans(), PROMPTS), max_size=30))
    def test_any_sequence_agrees_with_a_brute_force_search(self, max_entries, steps) -> None:
        fast, naive = LowResMaskCache(max_entries=max_entries), NaiveMasks(max_entries)
        for number, (saving, asked) in enumerate(steps):
            image, box, points = asked
            prompts = prompt(*points, box=box)
            if saving:
                fast.save(image, prompts, logits(number))
                naive.save(asked, number)
            else:
                assert value_of(fast.best_subset(image, prompts)) == naive.best_subset(asked)
            assert len(fast) == len(naive.saved)

    def test_the_largest_subset_wins_and_the_latest_among_equals(self) -> None:
        cache = LowResMaskCache()
        a, b, c, d = (1, 1, 1), (2, 2, 1), (3, 3, 0), (4, 4, 0)
        for value, points in enumerate([[a], [a, b], [b, c], [d]]):
            cache.save("image", prompt(*points), logits(value))
        assert value_of(cache.best_subset("image", prompt(a, b, c, d))) == 2
        assert value_of(cache.best_subset("image", prompt(a, b, d))) == 1
        assert value_of(cache.best_subset("image", prompt(a, b, c, d))) == 1

    def test_the_same_prompt_is_no_strict_subset_in_any_order(self) -> None:
        cache = LowResMaskCache()
        cache.save("image", prompt((1, 1, 1), (2, 2, 0)), logits(1))
        assert cache.best_subset("image", prompt((2, 2, 0), (1, 1, 1))) is None

    def test_a_box_alone_is_refined_by_a_point_in_it(self) -> None:
        cache = LowResMaskCache()
        cache.save("image", prompt(box=(0, 0, 8, 8)), logits(5))
        assert value_of(cache.best_subset("image", prompt((1, 1, 0), box=(0, 0, 8, 8)))) == 5

    @pytest.mark.parametrize("position", range(4))
    def test_every_number_of_a_box_counts(self, position) -> None:
        cache = LowResMaskCache()
        box = [0, 0, 8, 8]
        cache.save("image", prompt((1, 1, 1), box=box), logits(5))
        box[position] += 1
        assert cache.best_subset("image", prompt((1, 1, 1), (2, 2, 1), box=box)) is None

    def test_box_corners_are_no_clicks(self) -> None:
        cache = LowResMaskCache()
        cache.save("image", prompt((0, 0, 1), (8, 8, 1)), logits(5))
        assert cache.best_subset("image", prompt((1, 1, 1), box=(0, 0, 8, 8))) is None

    @pytest.mark.parametrize(
        "point", [(1, 1, 0), (1, 2, 1), (2, 1, 1), (np.nextafter(np.float32(1), 2), 1, 1)]
    )
    def test_label_and_coordinates_count_to_the_last_bit(self, point) -> None:
        cache = LowResMaskCache()
        cache.save("image", prompt((1, 1, 1)), logits(5))
        assert cache.best_subset("image", prompt(point, (5, 5, 1))) is None

    @pytest.mark.parametrize("odd", [{"objects": 2}, {"mask": np.zeros((1, 1, 2, 2), np.float32)}])
    def test_several_objects_or_a_mask_of_ones_own_take_no_part(self, odd) -> None:
        cache = LowResMaskCache()
        cache.save("image", prompt((1, 1, 1), **odd), logits(5))
        assert len(cache) == 0
        cache.save("image", prompt((1, 1, 1)), logits(5))
        assert cache.best_subset("image", prompt((1, 1, 1), (2, 2, 1), **odd)) is None

    def test_what_is_kept_is_a_copy(self) -> None:
        cache = LowResMaskCache()
        candidates = np.zeros((4, 2, 2), np.float32)
        cache.save("image", prompt((1, 1, 1)), candidates[1:2])
        assert cache.info().bytes == 16
        candidates[:] = 9
        more = prompt((1, 1, 1), (2, 2, 1))
        cache.best_subset("image", more)[:] = 7
        assert value_of(cache.best_subset("image", more)) == 0

    @pytest.mark.parametrize("shape", [(2, 2), (3, 2, 2), (1, 1, 2, 2)])
    def test_anything_but_one_mask_is_refused(self, shape) -> None:
        with pytest.raises(ValueError, match=r"logits must have shape \(1, h, w\)"):
            LowResMaskCache().save("image", prompt((1, 1, 1)), np.zeros(shape, np.float32))

    def test_no_entries_or_clearing_leaves_no_trace(self) -> None:
        off, cleared = LowResMaskCache(max_entries=0), LowResMaskCache()
        for cache in (off, cleared):
            cache.save("image", prompt((1, 1, 1)), logits(5))
        cleared.clear()
        for cache in (off, cleared):
            assert cache.best_subset("image", prompt((1, 1, 1), (2, 2, 1))) is None
            assert cache.info()[:4] == (0, 1, 0, 0)
