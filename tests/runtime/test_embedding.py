"""`content_key` names an array by all that it holds, and by nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2lab.runtime.embedding import content_key


@pytest.mark.parametrize(
    "other",
    [
        np.arange(12, dtype=np.uint8).reshape(3, 4),
        np.arange(12, dtype=np.uint8).reshape(2, 6),
        np.arange(12, dtype=np.uint8),
        np.arange(12, dtype=np.uint8).view(np.int8).reshape(4, 3),
        np.arange(12, dtype=np.uint8).view(np.uint16).reshape(2, 3),
        np.arange(12, dtype=np.uint16).reshape(4, 3),
        np.arange(12, dtype=np.uint8).reshape(4, 3) + np.uint8(1),
        np.arange(12, dtype=np.uint8).reshape(3, 4).T,
    ],
)
def test_shape_dtype_and_bytes_all_count(other) -> None:
    assert content_key(np.arange(12, dtype=np.uint8).reshape(4, 3)) != content_key(other)


def test_equal_content_has_one_key_however_it_lies_in_memory() -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    key = content_key(array)
    assert key == content_key(np.asfortranarray(array))
    assert key == content_key(array.repeat(2, axis=1)[:, ::2])
    assert len(key) == 64
    assert set(key) <= set("0123456789abcdef")


@given(st.lists(st.lists(st.text(), max_size=3), min_size=2, max_size=4, unique_by=tuple))
def test_contexts_that_join_to_the_same_text_differ(contexts) -> None:
    keys = {content_key(np.zeros(3), *context) for context in [*contexts, ["ab", "c"], ["abc"]]}
    assert len(keys) == len({tuple(c) for c in [*contexts, ["ab", "c"], ["abc"]]})


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0, 2)])
def test_empty_and_scalar_arrays_have_keys_of_their_own(shape) -> None:
    assert content_key(np.zeros(shape)) != content_key(np.zeros((1,)))


def test_an_array_of_objects_is_refused() -> None:
    with pytest.raises(ValueError, match="array must hold numbers"):
        content_key(np.array([object()]))


def test_a_read_only_array_is_fine() -> None:
    array = np.zeros((2, 2))
    key = content_key(array)
    array.setflags(write=False)
    assert content_key(array) == key
