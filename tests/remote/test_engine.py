"""`Segmenter(RemoteEngine(...))` gives what `Segmenter(engine)` gives."""

from __future__ import annotations

import io
import math
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lab.remote import RefusedError, RemoteEngine, RemoteError, Server, serve
from sam2lab.runtime.cache import EmbeddingCache
from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.engines.protocol import FEATURES, Engine, Features, PromptBatch
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.runtime.store import EmbeddingStore
from tests.runtime.fakes import FakeEngine

CLICK = {"point_coordinates": [[20, 30]], "point_labels": [1]}
PROMPTS = {
    "click": CLICK,
    "clicks": {"point_coordinates": [[20, 30], [60, 10]], "point_labels": [1, 0]},
    "box": {"boxes": [5, 5, 40, 45]},
    "mask": {"mask_input": np.linspace(-5, 5, 16 * 24, dtype=np.float32).reshape(1, 16, 24)},
    "objects": {"boxes": [[5, 5, 40, 45], [20, 10, 60, 30]]},
    "box and click": {"boxes": [[5, 5, 40, 45]], **CLICK},
}
ONE_CLICK = PromptBatch(np.full((1, 1, 2), 9, np.float32), np.ones((1, 1), np.float32))


def pixels(images: int = 1, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((images, 3, 64, 96), dtype=np.float32)


def test_a_remote_engine_is_an_engine(remote: RemoteEngine, engine: FakeEngine) -> None:
    assert isinstance(remote, Engine)
    assert remote.info == engine.info
    assert remote.key == "remote:fake"


@pytest.mark.parametrize("multi_mask", [True, False])
@pytest.mark.parametrize("kind", PROMPTS)
def test_answers_are_those_of_the_local_engine(
    kind: str,
    multi_mask: bool,
    remote: RemoteEngine,
    engine: FakeEngine,
    photo: np.ndarray,
    photo_file: bytes,
) -> None:
    ours, theirs = (
        Segmenter(each).segment_images(photo, multi_mask_output=multi_mask, **PROMPTS[kind])[0]
        for each in (engine, remote)
    )
    sent_whole = remote.segment(photo_file, multi_mask_output=multi_mask, **PROMPTS[kind])
    for found in (theirs, sent_whole):
        np.testing.assert_array_equal(found.masks, ours.masks)
        np.testing.assert_array_equal(found.scores, ours.scores)
        assert found.masks.dtype == np.bool_
    np.testing.assert_array_equal(theirs.logits, ours.logits)


def test_a_real_model_gives_the_same_masks_through_a_server(photo: np.ndarray) -> None:
    local = OnnxEngine(Path(__file__).parents[2] / "models" / "nano")
    with serve(local) as server, RemoteEngine(server.url, server.token) as remote:
        ours, theirs = (
            Segmenter(engine).segment_images(photo, **PROMPTS["objects"])[0]
            for engine in (local, remote)
        )
    np.testing.assert_array_equal(theirs.logits, ours.logits)


def test_a_photo_may_be_named_by_its_path(
    remote: RemoteEngine, photo: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(photo).save(path)
    by_path, by_bytes = (remote.segment(p, **CLICK) for p in (path, path.read_bytes()))
    np.testing.assert_array_equal(by_path.masks, by_bytes.masks)


def test_a_sideways_photo_is_turned_upright_before_prompts_are_read(
    remote: RemoteEngine, photo: np.ndarray
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "PNG", exif=exif)
    assert remote.segment(file.getvalue(), **CLICK).masks.shape == (3, 70, 50)


def test_features_stay_on_the_server_until_they_are_read(
    remote: RemoteEngine, engine: FakeEngine
) -> None:
    local, kept = engine.encode(pixels(2)), remote.encode(pixels(2))
    assert remote.last_trip is not None
    assert remote.last_trip.received_bytes < 1000
    assert "image_embed" not in repr(kept)
    for name in FEATURES:
        np.testing.assert_array_equal(getattr(kept, name), getattr(local, name))


def test_a_batch_splits_into_its_images(remote: RemoteEngine, engine: FakeEngine) -> None:
    first, second = remote.encode(np.concatenate([pixels(), pixels(seed=1)])).split()
    assert first.nbytes == pixels().nbytes
    for one, seed in ((first, 0), (second, 1)):
        wanted = engine.decode(engine.encode(pixels(seed=seed)), ONE_CLICK)
        np.testing.assert_array_equal(remote.decode(one, ONE_CLICK).logits, wanted.logits)


def test_the_server_keeps_one_copy_of_equal_images_and_encodes_each_time(
    remote: RemoteEngine, engine: FakeEngine, server: Server
) -> None:
    for _ in range(3):
        remote.encode(pixels())
    assert engine.encoded == [1, 1, 1]
    assert server._service.kept.info().entries == 1


def test_features_from_a_store_go_up_once(
    remote: RemoteEngine, engine: FakeEngine, photo: np.ndarray, tmp_path: Path
) -> None:
    store = EmbeddingStore(tmp_path)
    first = Segmenter(remote, embeddings_cache=EmbeddingCache(store=store))
    (wanted,) = first.segment_images(photo, **CLICK)
    again = Segmenter(remote, embeddings_cache=EmbeddingCache(store=store))
    (embedding,) = again.embed_images(photo)
    for _ in range(2):
        (found,) = again.segment_images(embeddings=embedding, **CLICK)
        np.testing.assert_array_equal(found.masks, wanted.masks)
    assert remote.last_trip.sent_bytes < embedding.nbytes / 10
    assert engine.encoded == [1]


def test_features_of_another_server_are_usable(remote: RemoteEngine) -> None:
    with serve(FakeEngine()) as other, RemoteEngine(other.url, other.token) as elsewhere:
        features = elsewhere.encode(pixels())
        found = remote.decode(features, ONE_CLICK)
    wanted = remote.decode(remote.encode(pixels()), ONE_CLICK)
    np.testing.assert_array_equal(found.logits, wanted.logits)


@pytest.fixture
def small() -> Callable[[FakeEngine], Server]:
    """Starts a server that keeps the features of two images."""
    one = FakeEngine().encode(pixels()).nbytes
    return lambda engine: serve(engine, kept_bytes=2 * one)


def test_the_server_forgets_what_was_used_longest_ago_and_makes_it_again(
    small: Callable[[FakeEngine], Server], engine: FakeEngine
) -> None:
    with small(engine) as server, RemoteEngine(server.url, server.token) as remote:
        a, b, c = (remote.encode(pixels(seed=seed)) for seed in range(3))
        for seed, features in ((1, b), (2, c), (0, a)):
            wanted = engine.decode(FakeEngine().encode(pixels(seed=seed)), ONE_CLICK)
            np.testing.assert_array_equal(remote.decode(features, ONE_CLICK).logits, wanted.logits)
            assert engine.encoded == [1] * (3 if seed else 4)
        np.testing.assert_array_equal(b.image_embed, engine.encode(pixels(seed=1)).image_embed)
        assert server._service.kept.info().entries == 2


def test_given_features_go_up_again_when_they_were_forgotten(
    small: Callable[[FakeEngine], Server], engine: FakeEngine
) -> None:
    with small(engine) as server, RemoteEngine(server.url, server.token) as remote:
        given = engine.encode(pixels())
        wanted = remote.decode(given, ONE_CLICK)
        for seed in (1, 2):
            remote.encode(pixels(seed=seed))
        np.testing.assert_array_equal(remote.decode(given, ONE_CLICK).logits, wanted.logits)


def test_an_image_too_large_for_the_server_to_keep_is_refused() -> None:
    with (
        serve(FakeEngine(), kept_bytes=100) as server,
        RemoteEngine(server.url, server.token) as remote,
        pytest.raises(RefusedError, match="kept_bytes"),
    ):
        remote.encode(pixels())


def test_every_trip_is_accounted_for(remote: RemoteEngine, photo_file: bytes) -> None:
    assert remote.last_trip is None
    remote.encode(pixels())
    encode = remote.last_trip
    remote.segment(photo_file, **CLICK)
    segment = remote.last_trip
    assert (encode.route, segment.route) == ("/encode", "/segment")
    assert encode.sent_bytes > pixels().nbytes
    assert segment.sent_bytes > len(photo_file)
    for trip in (encode, segment):
        assert trip.simulated_s == 0
        assert trip.server_s > 0
        assert trip.transport_s > 0
        assert trip.total_s == pytest.approx(trip.server_s + trip.transport_s)


def test_eight_threads_may_share_one_engine(remote: RemoteEngine, photo_file: bytes) -> None:
    def ask(x: int) -> np.ndarray:
        return remote.segment(photo_file, point_coordinates=[[x, 20]], point_labels=[1]).masks

    places = range(0, 64, 8)
    wanted = [ask(x) for x in places]
    with ThreadPoolExecutor(8) as pool:
        for ours, theirs in zip(wanted, pool.map(ask, places), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_one_thread_asks_over_one_connection_that_sends_at_once(remote: RemoteEngine) -> None:
    """With Nagle's algorithm a request waits up to 40 ms; tornado disables it on its side."""
    features = remote.encode(pixels())
    for _ in range(10):
        remote.decode(features, ONE_CLICK)
    assert remote._pool.num_connections == 1
    connection = remote._pool._get_conn()
    assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org:80",
        "http://192.168.0.7:8080",
        "http://127.0.0.1.example.org:80",
        "http://user@127.0.0.1:80",
        "https://127.0.0.1:80",
        "127.0.0.1:80",
        None,
    ],
)
def test_a_client_shows_its_token_to_this_machine_only(url: str) -> None:
    with pytest.raises(ValueError, match=r"url is .*SSH tunnel"):
        RemoteEngine(url, "token")


def test_a_wrong_token_is_named_in_the_error(server: Server) -> None:
    with pytest.raises(RemoteError, match=r"token=server\.token") as caught:
        RemoteEngine(server.url, "x" + server.token)
    assert server.token not in str(caught.value)


def test_a_stopped_server_is_named_in_the_error(engine: FakeEngine) -> None:
    with serve(engine) as server:
        remote = RemoteEngine(f"{server.url}/", server.token)
    with pytest.raises(RemoteError, match="Is the server stopped"):
        remote.encode(pixels())


def test_a_server_that_takes_too_long_is_named_in_the_error() -> None:
    free = threading.Event()

    class Slow(FakeEngine):
        def encode(self, pixels: np.ndarray) -> Features:
            free.wait()
            return super().encode(pixels)

    with serve(Slow()) as server:
        with (
            RemoteEngine(server.url, server.token, timeout_s=0.2) as remote,
            pytest.raises(RemoteError, match=r"timeout_s than 0\.2"),
        ):
            remote.encode(pixels())
        free.set()


def test_a_request_too_large_for_the_server_is_not_sent(engine: FakeEngine) -> None:
    with (
        serve(engine, body_bytes=1000) as server,
        RemoteEngine(server.url, server.token) as remote,
    ):
        with pytest.raises(RefusedError, match="send fewer images"):
            remote.encode(pixels())
        assert remote.last_trip is None


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({"point_coordinates": [[5, 5]], "point_labels": [7]}, "point_labels holds 7"),
        ({"boxes": "everything"}, "^boxes is of dtype"),
        ({"boxes": [None]}, "^boxes is of dtype"),
        ({"boxes": [[1, 2, 3, 4], [5, 6]]}, "^boxes makes no array"),
        ({"mask_input": np.ones((1, 16, 24), bool)}, "mask_input is of dtype bool"),
        ({"photo": np.zeros((5, 5, 3), np.uint8)}, "(?s)^photo is .*Segmenter"),
        ({"photo": "nowhere.png"}, "^photo is 'nowhere.png': no such file"),
    ],
)
def test_a_wrong_prompt_is_a_value_error_as_with_a_local_engine(
    prompt: dict, message: str, remote: RemoteEngine, photo_file: bytes
) -> None:
    with pytest.raises(ValueError, match=message):
        remote.segment(**{"photo": photo_file} | prompt)


@pytest.mark.parametrize("timeout_s", [0, -1, math.nan, math.inf, 1e12, None, "3"])
def test_a_time_limit_out_of_range_is_refused_by_name(server: Server, timeout_s: object) -> None:
    with pytest.raises(ValueError, match=r"^timeout_s is .*; wanted a number from 0\.001 to 86400"):
        RemoteEngine(server.url, server.token, timeout_s=timeout_s)


def test_the_name_of_a_network_in_its_place_is_refused(server: Server) -> None:
    with pytest.raises(ValueError, match=r"^network is '4G \(assumed\)'; .*ASSUMED_NETWORKS"):
        RemoteEngine(server.url, server.token, network="4G (assumed)")
