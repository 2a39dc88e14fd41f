"""`Segmenter(RemoteEngine(...))` gives what `Segmenter(engine)` gives."""

from __future__ import annotations

import io
import math
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lab.measure.parity import compare_masks
from sam2lab.remote import (
    FeaturesGone,
    Limits,
    RefusedError,
    RemoteEngine,
    RemoteError,
    Server,
    serve,
)
from sam2lab.runtime.cache import EmbeddingCache
from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.engines.protocol import Engine, Features, PromptBatch
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


def batch(points: int = 1) -> PromptBatch:
    return PromptBatch(np.full((1, points, 2), 9, np.float32), np.ones((1, points), np.float32))


def pixels(images: int = 1, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((images, 3, 64, 96), dtype=np.float32)


def test_a_remote_engine_is_an_engine(remote: RemoteEngine, engine: FakeEngine) -> None:
    assert isinstance(remote, Engine)
    assert remote.info == engine.info
    assert remote.key == "remote:fake"


@pytest.mark.parametrize("multi_mask", [True, False])
@pytest.mark.parametrize("kind", PROMPTS)
def test_masks_scores_and_logits_are_those_of_the_local_engine(
    kind: str, multi_mask: bool, remote: RemoteEngine, engine: FakeEngine, photo: np.ndarray
) -> None:
    ours, theirs = (
        Segmenter(each).segment_images(photo, multi_mask_output=multi_mask, **PROMPTS[kind])[0]
        for each in (engine, remote)
    )
    np.testing.assert_array_equal(theirs.masks, ours.masks)
    np.testing.assert_array_equal(theirs.scores, ours.scores)
    np.testing.assert_array_equal(theirs.logits, ours.logits)


@pytest.mark.parametrize("multi_mask", [True, False])
@pytest.mark.parametrize("kind", PROMPTS)
def test_a_photo_that_is_sent_whole_comes_back_as_the_same_masks(
    kind: str,
    multi_mask: bool,
    remote: RemoteEngine,
    engine: FakeEngine,
    photo: np.ndarray,
    photo_file: bytes,
) -> None:
    (ours,) = Segmenter(engine).segment_images(photo, multi_mask_output=multi_mask, **PROMPTS[kind])
    theirs = remote.segment(photo_file, multi_mask_output=multi_mask, **PROMPTS[kind])
    np.testing.assert_array_equal(theirs.masks, ours.masks)
    np.testing.assert_array_equal(theirs.scores, ours.scores)
    assert theirs.masks.dtype == np.bool_


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


def test_a_real_model_gives_the_same_masks_through_a_server(nano_bundle: Path) -> None:
    local = OnnxEngine(nano_bundle)
    y, x = np.mgrid[:90, :120] / 20
    photo = (127 + 120 * np.sin(np.stack([x, y, x + y], axis=-1))).astype(np.uint8)
    with serve(local) as server, RemoteEngine(server.url, server.token) as remote:
        compared = compare_masks(local, remote, [photo])
    assert (compared["iou"] == 1).all()


def test_features_stay_on_the_server_until_they_are_read(
    remote: RemoteEngine, engine: FakeEngine
) -> None:
    local, kept = engine.encode(pixels(2)), remote.encode(pixels(2))
    assert remote.last_trip is not None
    assert remote.last_trip.received_bytes < 1000
    assert kept.nbytes == local.nbytes
    assert "image_embed" not in repr(kept)
    for name in ("image_embed", "high_res_feats_0", "high_res_feats_1"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(local, name))


def test_the_server_keeps_one_copy_of_equal_images_and_encodes_each_time(
    remote: RemoteEngine, engine: FakeEngine, server: Server
) -> None:
    for _ in range(3):
        remote.encode(pixels())
    assert engine.encoded == [1, 1, 1]
    assert server.features.entries == 1


def test_features_of_two_images_must_be_split(remote: RemoteEngine) -> None:
    features = remote.encode(np.repeat(pixels(), 2, axis=0))
    with pytest.raises(ValueError, match=r"features\.split"):
        remote.decode(features, batch())
    first, second = features.split()
    np.testing.assert_array_equal(
        remote.decode(first, batch()).logits, remote.decode(second, batch()).logits
    )


def test_features_of_another_server_are_refused_before_they_are_asked_about(
    remote: RemoteEngine,
) -> None:
    with serve(FakeEngine()) as other, RemoteEngine(other.url, other.token) as elsewhere:
        features = elsewhere.encode(pixels())
        with pytest.raises(ValueError, match="encode the image again with this engine"):
            remote.decode(features, batch())


def test_features_from_a_store_go_up_with_the_question(
    remote: RemoteEngine, engine: FakeEngine, photo: np.ndarray, tmp_path: Path
) -> None:
    store = EmbeddingStore(tmp_path)
    first = Segmenter(remote, embeddings_cache=EmbeddingCache(store=store))
    (wanted,) = first.segment_images(photo, **CLICK)
    again = Segmenter(remote, embeddings_cache=EmbeddingCache(store=store))
    (found,) = again.segment_images(photo, **CLICK)
    assert engine.encoded == [1]
    np.testing.assert_array_equal(found.masks, wanted.masks)


def test_features_that_the_engine_cannot_use_are_the_clients_fault() -> None:
    class Particular(FakeEngine):
        def decode(self, features: Features, prompts: PromptBatch) -> object:
            if features.image_embed.shape[1] != 8:
                raise RuntimeError("secret: wanted 8 channels")
            return super().decode(features, prompts)

    sizes = [(1, 4, 4, 6), (1, 1, 16, 24), (1, 2, 8, 12)]
    with serve(Particular()) as server, RemoteEngine(server.url, server.token) as remote:
        with pytest.raises(RefusedError, match="cannot use these features") as caught:
            remote.decode(Features(*(np.zeros(size, np.float32) for size in sizes)), batch())
        assert "secret" not in str(caught.value)


def test_features_used_longest_ago_leave_first_and_are_asked_for_by_name(
    photo: np.ndarray,
) -> None:
    one = FakeEngine().encode(pixels()).nbytes
    with (
        serve(FakeEngine(), limits=Limits(features_bytes=2 * one)) as server,
        RemoteEngine(server.url, server.token) as remote,
    ):
        a, b, c = (remote.encode(pixels(seed=seed)) for seed in range(3))
        assert server.features.bytes == 2 * one
        for kept in (b, c):
            remote.decode(kept, batch())
        with pytest.raises(FeaturesGone, match=r"encode it again.*features_bytes"):
            remote.decode(a, batch())
        with pytest.raises(FeaturesGone):
            a.image_embed.max()


def test_a_segmenters_cache_leaves_room_for_what_the_server_keeps(photo: np.ndarray) -> None:
    one = FakeEngine().encode(pixels()).nbytes
    with (
        serve(FakeEngine(), limits=Limits(features_bytes=2 * one)) as server,
        RemoteEngine(server.url, server.token) as remote,
    ):
        segmenter = Segmenter(remote, embeddings_cache=EmbeddingCache(max_bytes=2 * one))
        for brightness in (1, 2, 3, 1, 3, 2):
            segmenter.segment_images(photo // brightness, **CLICK)


def test_an_image_too_large_for_the_server_to_keep_is_refused() -> None:
    with (
        serve(FakeEngine(), limits=Limits(features_bytes=100)) as server,
        RemoteEngine(server.url, server.token) as remote,
        pytest.raises(RefusedError, match="features_bytes"),
    ):
        remote.encode(pixels())


def test_every_trip_is_accounted_for(remote: RemoteEngine, photo_file: bytes) -> None:
    assert remote.last_trip is None
    remote.encode(pixels())
    encode = remote.last_trip
    remote.segment(photo_file, **CLICK)
    segment = remote.last_trip
    assert encode is not None
    assert segment is not None
    assert (encode.route, segment.route) == ("/encode", "/segment")
    assert encode.sent_bytes > pixels().nbytes
    assert segment.sent_bytes > len(photo_file)
    for trip in (encode, segment):
        assert trip.simulated_s == 0
        assert trip.server_s > 0
        assert trip.transport_s > 0
        assert trip.total_s == pytest.approx(trip.server_s + trip.transport_s)


def test_each_thread_sees_its_own_last_trip(remote: RemoteEngine) -> None:
    remote.encode(pixels())
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: remote.last_trip).result() is None


def test_one_thread_asks_over_one_connection(remote: RemoteEngine, server: Server) -> None:
    features = remote.encode(pixels())
    for _ in range(10):
        remote.decode(features, batch())
    assert remote._pool.num_connections == 1


def test_a_client_sends_at_once(remote: RemoteEngine) -> None:
    """With Nagle's algorithm a request waits up to 40 ms; tornado disables it on its side."""
    connection = remote._pool._get_conn()
    assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_connection_that_the_server_dropped_is_replaced(
    engine: FakeEngine,
) -> None:
    with (
        serve(engine, limits=Limits(idle_s=0.05)) as server,
        RemoteEngine(server.url, server.token) as remote,
    ):
        features = remote.encode(pixels())
        idle = remote._pool._get_conn()
        remote._pool._put_conn(idle)
        while idle.is_connected:
            time.sleep(0.01)
        remote.decode(features, batch())


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org:80",
        "http://192.168.0.7:8080",
        "http://127.0.0.1.example.org:80",
        "http://user@127.0.0.1:80",
        "https://127.0.0.1:80",
        "127.0.0.1:80",
        "http://127.0.0.1:99999",
    ],
)
def test_a_client_shows_its_token_to_this_machine_only(url: str) -> None:
    with pytest.raises(ValueError, match=r"url is .*SSH tunnel"):
        RemoteEngine(url, "token")


def test_a_wrong_token_is_named_in_the_error(server: Server) -> None:
    with pytest.raises(RemoteError, match=r"token=server\.token") as caught:
        RemoteEngine(server.url, "x" + server.token)
    assert server.token not in str(caught.value)


@pytest.mark.parametrize("token", ["", "two\r\nlines", "blank blank", "Ünïcode"])
def test_a_token_that_fits_no_header_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(ValueError, match="token is not what a server draws") as caught:
        RemoteEngine("http://127.0.0.1:1", token)
    assert not token or token not in str(caught.value)


def test_a_stopped_server_is_named_in_the_error(engine: FakeEngine) -> None:
    with serve(engine) as server:
        remote = RemoteEngine(server.url, server.token)
    with pytest.raises(RemoteError, match="is the server stopped"):
        remote.encode(pixels())


def test_a_server_that_was_started_anew_has_another_token(engine: FakeEngine) -> None:
    with serve(engine) as server:
        remote = RemoteEngine(server.url, server.token)
    with (
        serve(engine, port=int(server.url.rpartition(":")[2])),
        pytest.raises(RemoteError, match=r"token=server\.token"),
    ):
        remote.encode(pixels(images=200))


def test_a_server_that_takes_too_long_is_named_in_the_error() -> None:
    free = threading.Event()

    class Slow(FakeEngine):
        def encode(self, pixels: np.ndarray) -> Features:
            free.wait()
            return super().encode(pixels)

    with serve(Slow()) as server:
        with (
            RemoteEngine(server.url, server.token, timeout_s=0.2) as remote,
            pytest.raises(RemoteError, match="timeout_s"),
        ):
            remote.encode(pixels())
        free.set()


def test_a_request_too_large_for_the_server_is_not_sent(engine: FakeEngine) -> None:
    with (
        serve(engine, limits=Limits(body_bytes=1000)) as server,
        RemoteEngine(server.url, server.token) as remote,
    ):
        with pytest.raises(RefusedError, match="send fewer images"):
            remote.encode(pixels())
        assert remote.last_trip is None


def test_a_wrong_prompt_is_a_value_error_as_with_a_local_engine(
    remote: RemoteEngine, photo_file: bytes
) -> None:
    with pytest.raises(ValueError, match="point_labels holds 7"):
        remote.segment(photo_file, point_coordinates=[[5, 5]], point_labels=[7])


@pytest.mark.parametrize(
    ("name", "prompt"),
    [("boxes", "everything"), ("mask_input", np.ones((1, 16, 24), bool)), ("boxes", [None])],
)
def test_a_prompt_that_is_no_number_is_not_sent(
    name: str, prompt: object, remote: RemoteEngine, photo_file: bytes
) -> None:
    with pytest.raises(ValueError, match=f"^{name} is of dtype"):
        remote.segment(photo_file, **{name: prompt})
    assert remote.last_trip is None


def test_stopping_ends_every_thread_and_frees_the_port(engine: FakeEngine) -> None:
    before = threading.active_count()
    server = serve(engine)
    engines = [RemoteEngine(server.url, server.token) for _ in range(3)]
    assert threading.active_count() > before
    server.stop()
    server.stop()
    assert threading.active_count() == before
    port = int(server.url.rpartition(":")[2])
    with serve(engine, port=port) as again:
        assert again.url == server.url
        assert again.token != server.token
    for each in engines:
        each.close()


def test_lists_of_unequal_length_are_refused_by_the_name_of_the_prompt(
    remote: RemoteEngine, photo_file: bytes
) -> None:
    with pytest.raises(ValueError, match=r"^boxes makes no array"):
        remote.segment(photo_file, boxes=[[1, 2, 3, 4], [5, 6]])


def test_a_photo_in_memory_is_not_sent(remote: RemoteEngine, photo: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"^photo is ndarray; .*Segmenter"):
        remote.segment(photo, boxes=[0, 0, 5, 5])
    assert remote.last_trip is None


@pytest.mark.parametrize("timeout_s", [0, -1, math.nan, math.inf, 1e12, None, "3"])
def test_a_time_limit_out_of_range_is_refused_by_name(server: Server, timeout_s: object) -> None:
    with pytest.raises(ValueError, match=r"^timeout_s is .*; wanted a number from 0\.001 to 86400"):
        RemoteEngine(server.url, server.token, timeout_s=timeout_s)


def test_the_name_of_a_network_in_its_place_is_refused(server: Server) -> None:
    with pytest.raises(ValueError, match=r"^network is '4G \(assumed\)'; .*ASSUMED_NETWORKS"):
        RemoteEngine(server.url, server.token, network="4G (assumed)")


def test_an_address_may_end_in_a_slash(server: Server, remote: RemoteEngine) -> None:
    features = remote.encode(np.zeros((1, 3, *remote.info.input_size), np.float32))
    prompts = PromptBatch(np.ones((1, 1, 2), np.float32), np.ones((1, 1), np.float32))
    with RemoteEngine(f"{server.url}/", server.token) as same:
        same.decode(features, prompts)


@pytest.mark.parametrize("port", [-1, 70000, "80", True])
def test_a_port_out_of_range_is_refused(engine: FakeEngine, port: object) -> None:
    with pytest.raises(ValueError, match=r"^port is"):
        serve(engine, port=port)


def test_other_machines_cannot_reach_a_server(server: Server) -> None:
    assert server._socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("body_bytes", 0),
        ("features_bytes", 1e9),
        ("points", 2.5),
        ("objects", True),
        ("photo_pixels", None),
        ("idle_s", math.inf),
        ("request_s", "20"),
    ],
)
def test_limits_that_cannot_be_kept_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^{name} is "):
        Limits(**{name: value})


def test_only_engines_are_served(engine: FakeEngine) -> None:
    with pytest.raises(ValueError, match=r"segmenter\.engine"):
        serve(Segmenter(engine))
