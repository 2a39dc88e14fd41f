from __future__ import annotations

import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2lab.remote.wire import (
    RefusedError,
    RemoteError,
    pack,
    pack_greeting,
    pack_masks,
    unpack,
    unpack_greeting,
    unpack_masks,
)
from sam2lab.runtime.engines.protocol import ModelInfo


@given(st.binary(max_size=300))
def test_bytes_that_are_no_arrays_are_refused(body: bytes) -> None:
    with pytest.raises(RefusedError):
        unpack(body, {"a": "float32"})


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (2, 3)])
def test_arrays_of_any_shape_come_back_writable_and_equal(shape: tuple[int, ...]) -> None:
    sent = np.random.default_rng(0).random(shape, np.float32)
    sent = np.asarray(sent, np.float32)
    found = unpack(pack({"a": sent}), {"a": "float32"})["a"]
    np.testing.assert_array_equal(found, sent)
    assert found.flags.writeable


def test_arrays_that_are_not_contiguous_come_back_equal() -> None:
    sent = np.arange(12, dtype=np.float32).reshape(3, 4).T
    np.testing.assert_array_equal(unpack(pack({"a": sent}), {"a": "float32"})["a"], sent)


@pytest.mark.parametrize("shape", [(3, 7, 9), (2, 1, 5, 5), (1, 1, 1), (0, 4, 4)])
def test_masks_of_any_shape_come_back_equal(shape: tuple[int, ...]) -> None:
    masks = np.random.default_rng(0).random(shape) > 0.5
    found = unpack_masks(**pack_masks(masks))
    np.testing.assert_array_equal(found, masks)
    assert found.dtype == np.bool_


def test_masks_of_one_object_take_a_hundredth_of_their_bytes() -> None:
    y, x = np.mgrid[:720, :1280]
    masks = np.hypot(x - 640, y - 360) < np.array([100, 200, 300])[:, None, None]
    assert pack_masks(masks)["masks"].nbytes < masks.nbytes / 100


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        (zlib.compress(bytes(100_000_000)), [1, 8, 8]),
        (zlib.compress(bytes(8)), [2**40, 2**20, 4]),
        (zlib.compress(bytes(8)), [2**62, 2**62]),
        (zlib.compress(bytes(8)), [-8, -8]),
        (b"no zlib", [1, 8, 8]),
        (b"", [1, 8, 8]),
    ],
)
def test_masks_that_unpack_to_something_else_are_refused(data: bytes, shape: list[int]) -> None:
    with pytest.raises(RefusedError, match="masks"):
        unpack_masks(np.frombuffer(data, np.uint8), np.array(shape, np.int64))


def test_masks_that_would_unpack_to_much_more_take_no_memory() -> None:
    bomb = np.frombuffer(zlib.compress(bytes(100_000_000)), np.uint8)
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError):
            unpack_masks(bomb, np.array([1, 8, 8]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * bomb.nbytes


def test_a_model_introduces_itself_in_full() -> None:
    info = ModelInfo("tiny", "tiny", (720, 1280), "random:3", precision="w8a8")
    assert unpack_greeting(pack_greeting(info, "onnx:1", 5)) == (info, "onnx:1", 5)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"format": "other"}', b'{"format": "sam2lab remote 1"}'],
)
def test_another_kind_of_server_is_recognised(body: bytes) -> None:
    with pytest.raises(RemoteError, match="does not speak"):
        unpack_greeting(body)
