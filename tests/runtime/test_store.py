from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sam2lab.runtime.cache import EmbeddingCache
from sam2lab.runtime.embedding import ImageEmbedding, content_key
from sam2lab.runtime.engines.protocol import Features
from sam2lab.runtime.store import EmbeddingStore

KEY, OTHER = "ab12", "cd34"
NAMES = ("image_embed", "high_res_feats_0", "high_res_feats_1")


def embedding(model: str = "model", side: int = 2, seed: int = 0, key: str = KEY) -> ImageEmbedding:
    rng = np.random.default_rng(seed)
    sizes = [(1, 8, side, side + 1), (1, 1, 4 * side, 4 * side + 4), (1, 2, 2 * side, 2 * side + 2)]
    features = Features(*(rng.standard_normal(size, np.float32) for size in sizes))
    return ImageEmbedding(key, (480, 640), model, features)


def same(one: ImageEmbedding, two: ImageEmbedding) -> bool:
    return (one.key, one.image_size, one.model_key) == (
        two.key,
        two.image_size,
        two.model_key,
    ) and all(
        np.array_equal(getattr(one.features, name), getattr(two.features, name)) for name in NAMES
    )


@pytest.fixture
def store(tmp_path) -> EmbeddingStore:
    return EmbeddingStore(tmp_path / "deep" / "store")


def test_what_was_put_comes_back_in_another_store_on_the_folder(store) -> None:
    store.put(embedding())
    assert same(EmbeddingStore(str(store.folder)).get(KEY), embedding())


def test_the_folder_is_made_on_the_first_put(store) -> None:
    assert store.get(KEY) is None
    assert not store.folder.exists()
    store.put(embedding())
    assert [path.name for path in store.folder.iterdir()] == [f"{KEY}.safetensors"]


def test_a_later_put_replaces_an_earlier_one(store) -> None:
    store.put(embedding(seed=1))
    store.put(embedding(seed=2))
    assert same(store.get(KEY), embedding(seed=2))


def test_a_file_that_changes_later_does_not_reach_what_was_read(store) -> None:
    store.put(embedding())
    found = store.get(KEY)
    path = store.folder / f"{KEY}.safetensors"
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert same(found, embedding())


def test_arrays_that_are_views_and_sizes_of_numpy_are_kept_right(store) -> None:
    right = embedding()
    features = Features(*(np.asfortranarray(getattr(right.features, name)) for name in NAMES))
    size = tuple(np.array([480, 640]))
    store.put(ImageEmbedding(KEY, size, "model", features))
    assert same(store.get(KEY), right)


@pytest.mark.parametrize(
    "key",
    ["../ab12", "..", "ab/12", "/ab12", "ab12\n", "AB12", "", "xyz", "a" * 129, None, 12, b"ab"],
)
def test_a_key_that_is_no_hex_digest_is_refused(store, key) -> None:
    with pytest.raises(ValueError, match="key must be a hex digest"):
        store.get(key)
    with pytest.raises(ValueError, match="key must be a hex digest"):
        store.put(embedding(key=key))
    assert not store.folder.exists()


def test_a_folder_that_is_a_file_is_refused(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="folder must name a folder"):
        EmbeddingStore(tmp_path / "file")


def flip_last_byte(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:7],
        lambda data: data[:100],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: bytes(len(data)),
        lambda data: b"\xff" * len(data),
        lambda data: b"not an embedding",
        flip_last_byte,
        lambda data: data.replace(b"480x640", b"640x480"),
        lambda data: data.replace(b"480x640", b"upright"),
        lambda data: data.replace(b'"model"', b'"mOdel"'),
        lambda data: data.replace(b"embedding 2", b"embedding 1"),
        lambda data: data.replace(b'"image_embed"', b'"imaGe_embed"'),
        lambda data: data.replace(b'"F32"', b'"I32"'),
    ],
)
def test_a_damaged_file_is_missing_reported_once_and_replaced(store, damage) -> None:
    store.put(embedding())
    path = store.folder / f"{KEY}.safetensors"
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    with pytest.warns(UserWarning, match=f"{KEY}.safetensors is not used") as reports:
        assert [store.get(KEY), store.get(KEY)] == [None, None]
    assert len(reports) == 1
    store.put(embedding())
    assert same(store.get(KEY), embedding())
    path.write_bytes(b"")
    with pytest.warns(UserWarning, match="is not used"):
        store.get(KEY)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8"])
def test_arrays_of_another_kind_are_missing(store, dtype) -> None:
    store.put(embedding())
    path = store.folder / f"{KEY}.safetensors"
    arrays = {name: array.astype(dtype) for name, array in load_file(path).items()}
    save_file(arrays, path, metadata={"format": "sam2lab embedding 2", "key": KEY})
    with pytest.warns(UserWarning, match="features must be float32"):
        assert store.get(KEY) is None


def test_a_file_of_another_model_under_this_name_is_refused(store) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    tiny, large = content_key(image, "tiny"), content_key(image, "large")
    store.put(embedding("tiny", key=tiny))
    os.replace(store.folder / f"{tiny}.safetensors", store.folder / f"{large}.safetensors")
    with pytest.warns(UserWarning, match="another image or model: model 'tiny'"):
        assert store.get(large) is None


def test_a_folder_in_the_place_of_a_file_is_reported(store) -> None:
    (store.folder / f"{KEY}.safetensors").mkdir(parents=True)
    with pytest.warns(UserWarning, match="is not used"):
        assert store.get(KEY) is None


@pytest.mark.parametrize(
    "features",
    [
        Features(*(np.zeros((2, c, n, n), np.float32) for c, n in [(8, 2), (1, 8), (2, 4)])),
        Features(*(np.zeros((1, c, n, n), np.float32) for c, n in [(8, 2), (2, 4), (1, 8)])),
        Features(*(np.zeros((1, c, n, n), np.float64) for c, n in [(8, 2), (1, 8), (2, 4)])),
        Features(*(np.zeros((c, n, n), np.float32) for c, n in [(8, 2), (1, 8), (2, 4)])),
    ],
)
def test_features_of_a_wrong_shape_or_dtype_are_not_written(store, features) -> None:
    with pytest.raises(ValueError, match="features must be float32 of one image"):
        store.put(ImageEmbedding(KEY, (1, 1), "model", features))
    assert not store.folder.exists()


def test_a_failed_write_leaves_nothing_behind(store, monkeypatch) -> None:
    store.put(embedding(seed=1))

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        store.put(embedding(seed=2))
    assert len(list(store.folder.iterdir())) == 1
    assert same(store.get(KEY), embedding(seed=1))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_a_class_may_read_the_files_of_one_account(store) -> None:
    earlier = os.umask(0o022)
    try:
        store.put(embedding())
    finally:
        os.umask(earlier)
    mode = (store.folder / f"{KEY}.safetensors").stat().st_mode
    assert stat.S_IMODE(mode) == 0o644


def test_two_caches_on_one_folder_encode_once(store) -> None:
    def compute(keys):
        return [embedding() for _ in keys]

    EmbeddingCache(store=store).get_or_compute([KEY], compute)
    second = EmbeddingCache(max_entries=0, store=EmbeddingStore(store.folder))
    found = second.get_or_compute([KEY], lambda keys: pytest.fail("it was on disk"))
    assert same(found[0], embedding())
    assert second.info()[:2] == (1, 0)


def test_threads_may_write_and_read_one_key(store) -> None:
    def work(seed: int) -> None:
        for _ in range(20):
            store.put(embedding(seed=seed))
            found = store.get(KEY)
            assert any(same(found, embedding(seed=other)) for other in range(4))

    with warnings.catch_warnings(), ThreadPoolExecutor(4) as pool:
        warnings.simplefilter("error")
        list(pool.map(work, range(4)))
    assert len(list(store.folder.iterdir())) == 1


def test_a_damaged_file_is_reported_once_by_all_threads(store) -> None:
    store.folder.mkdir(parents=True)
    (store.folder / f"{KEY}.safetensors").write_bytes(b"garbage")
    start = threading.Barrier(8)

    def read(_: int) -> None:
        start.wait()
        assert store.get(KEY) is None

    with pytest.warns(UserWarning, match="is not used") as reports, ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(8)))
    assert len(reports) == 1


WRITER = """
import sys
import numpy as np
from sam2lab.runtime.embedding import ImageEmbedding
from sam2lab.runtime.engines.protocol import Features
from sam2lab.runtime.store import EmbeddingStore

folder, key, value = sys.argv[1], sys.argv[2], int(sys.argv[3])
sizes = [(1, 64, 16, 16), (1, 8, 64, 64), (1, 16, 32, 32)]
features = Features(*(np.full(size, value, np.float32) for size in sizes))
store = EmbeddingStore(folder)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(60):
    store.put(ImageEmbedding(key, (value, value), "model", features))
"""


def test_two_processes_writing_one_key_never_show_half_a_file(store) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store.folder), KEY, str(value)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for value in (1, 2)
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    running = True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        while running:
            running = any(writer.poll() is None for writer in writers)
            found = store.get(KEY)
            assert found is not None or running
            if found is not None:
                value = found.image_size[0]
                assert value in (1, 2)
                assert all(np.all(getattr(found.features, name) == value) for name in NAMES)
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(list(store.folder.iterdir())) == 1


def test_what_is_no_folder_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="folder is None; wanted a path"):
        EmbeddingStore(None)  # type: ignore[arg-type]
