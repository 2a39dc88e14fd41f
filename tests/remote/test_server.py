"""A server refuses wrong requests with a reason, and other clients notice nothing."""

from __future__ import annotations

import logging
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import urllib3

from sam2lab.remote import RefusedError, RemoteEngine, RemoteError, Server, serve
from sam2lab.remote.service import pack
from sam2lab.runtime.engines.protocol import Decoded, Features, PromptBatch
from sam2lab.runtime.segmenter import Segmenter
from tests.runtime.fakes import FakeEngine

PIXELS = np.zeros((1, 3, 64, 96), np.float32)
CLICK = PromptBatch(np.zeros((1, 1, 2), np.float32), np.ones((1, 1), np.float32))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """All tests share one server, because no request may change its state."""
    with serve(FakeEngine()) as running:
        yield running


def post(server: Server, body: bytes, route: str = "/decode", token: str | None = None) -> tuple:
    shown = {"Authorization": f"Bearer {server.token if token is None else token}"}
    reply = urllib3.request("POST", server.url + route, body=body, headers=shown, timeout=30)
    return reply.status, reply.data.decode()


@pytest.mark.parametrize("token", ["", "guess", "\xff\xfe"])
def test_nobody_asks_without_the_token(token: str, server: Server) -> None:
    for route in ("/decode", "/info"):
        status, said = post(server, b"", route, token)
        assert (status, "Bearer" in said) == (401, True)


def test_a_refusal_reaches_a_client_that_is_still_sending(server: Server) -> None:
    assert post(server, bytes(30_000_000), "/encode", "guess")[0] == 401


def test_an_unknown_route_is_refused(server: Server) -> None:
    assert post(server, b"", "/nowhere")[0] == 404
    assert post(server, b"", "/decode/../nowhere")[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x80\x04pickle is never loaded.",
        struct.pack("<Q", 2**62),
        struct.pack("<Q", 5000) + b"[" * 5000,
        pack({"evil": np.zeros(3)}),
        pack({"handle": np.zeros(32, np.uint8)}),
    ],
)
def test_a_damaged_body_stops_nothing(body: bytes, server: Server, remote: RemoteEngine) -> None:
    for route in ("/decode", "/encode", "/segment", "/fetch", "/condition"):
        status, said = post(server, body, route)
        assert status in (400, 410, 500)
        assert "Traceback" not in said
    remote.decode(remote.encode(PIXELS), CLICK)


def prompts(points: tuple[int, ...], mask: tuple[int, ...] | None = None) -> PromptBatch:
    filled = None if mask is None else np.zeros(mask, np.float32)
    return PromptBatch(np.zeros((*points, 2), np.float32), np.ones(points, np.float32), filled)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (prompts((1, 2000)), "answer_bytes"),
        (prompts((2**40, 0)), "answer_bytes"),
        (prompts((1, 1), (1, 1, 3, 3)), "mask_input is float32 of shape"),
        (PromptBatch(CLICK.point_coords, np.full((1, 1), 9, np.float32)), "point_labels holds"),
        (PromptBatch(np.full((1, 1, 2), np.nan, np.float32), CLICK.point_labels), "holds NaN"),
    ],
)
def test_prompts_that_no_decoder_can_take_are_refused(
    asked: PromptBatch, reason: str, remote: RemoteEngine
) -> None:
    with pytest.raises(RefusedError, match=reason):
        remote.decode(remote.encode(PIXELS), asked)


def test_pixels_of_another_size_are_refused(remote: RemoteEngine) -> None:
    with pytest.raises(RefusedError, match=r"wanted \(B, 3, 64, 96\)"):
        remote.encode(np.zeros((1, 3, 96, 64), np.float32))


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header announces any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + data + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"", "no file in JPEG or PNG"),
        # Pillow would start Ghostscript for this one.
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "no file in JPEG or PNG"),
        (b"\x89PNG\r\n\x1a\n", "Pillow knows no picture"),
        (png_that_claims(20_000, 20_000), "decompression bomb"),
        (png_that_claims(900, 900), "cut short"),
    ],
)
def test_a_photo_that_cannot_be_used_is_refused(
    file: bytes, reason: str, remote: RemoteEngine
) -> None:
    with pytest.raises(RefusedError, match=reason):
        remote.segment(file, boxes=[0, 0, 9, 9])


def test_masks_that_would_fill_the_memory_are_not_made(photo_file: bytes) -> None:
    engine = FakeEngine()
    with (
        serve(engine, answer_bytes=2**20) as server,
        RemoteEngine(server.url, server.token) as remote,
        pytest.raises(RefusedError, match="smaller photo, or serve with larger answer_bytes="),
    ):
        remote.segment(photo_file, boxes=[[0, 0, 9, 9]] * 90)
    assert engine.encoded == []


def test_a_failing_engine_is_reported_without_its_insides(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(FakeEngine):
        def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
            raise RuntimeError("secret in /home/owner/model.onnx")

    with serve(Broken()) as server, RemoteEngine(server.url, server.token) as remote:
        features = remote.encode(PIXELS)
        with pytest.raises(RemoteError, match="answers 500") as caught:
            remote.decode(features, CLICK)
        remote.encode(PIXELS)
    assert "secret" not in str(caught.value)
    assert "secret" in caplog.text, "the person who serves is told"


def test_the_token_is_in_no_log_and_no_text(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with serve(FakeEngine()) as server, RemoteEngine(server.url, server.token) as remote:
        remote.encode(PIXELS)
        post(server, b"x")
        assert server.token not in repr(remote) + repr(server) + server.url
    printed = capfd.readouterr()
    assert server.token not in caplog.text + printed.out + printed.err


def test_a_body_that_is_announced_and_never_sent_takes_no_memory(server: Server) -> None:
    import psutil

    before = psutil.Process().memory_info().rss
    quiet = [open_connection(server) for _ in range(40)]
    for connection in quiet[20:]:
        # The largest body that is taken.
        connection.sendall(b"POST /decode HTTP/1.1\r\nContent-Length: 67108864\r\n\r\nxxxx")
    assert ask(server, client=0), "clients that say nothing or stop halfway block no other client"
    # 20 bodies of 64 MiB would be 1280 MiB.
    assert psutil.Process().memory_info().rss - before < 100 * 2**20
    for connection in quiet:
        connection.close()


def open_connection(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))


def ask(server: Server, client: int) -> bool:
    """Ask about one client's own photos; return whether all masks equal a local engine's."""
    rng, local = np.random.default_rng(client), Segmenter(FakeEngine())
    same = []
    with RemoteEngine(server.url, server.token) as engine:
        for _ in range(5):
            photo = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
            click = {"point_coordinates": rng.uniform(0, 40, (1, 2)), "point_labels": [1]}
            (ours,) = local.segment_images(photo, **click)
            (theirs,) = Segmenter(engine).segment_images(photo, **click)
            same.append(np.array_equal(ours.masks, theirs.masks))
    return all(same)


def test_eight_clients_at_once_each_get_their_own_masks(server: Server) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda client: ask(server, client), range(8)))


def test_a_click_does_not_wait_for_a_photo() -> None:
    begun, free = threading.Event(), threading.Event()

    class Slow(FakeEngine):
        def encode(self, pixels: np.ndarray) -> Features:
            if pixels.any():
                begun.set()
                free.wait()
            return super().encode(pixels)

    with (
        serve(Slow()) as server,
        RemoteEngine(server.url, server.token) as remote,
        ThreadPoolExecutor(1) as pool,
    ):
        features = remote.encode(PIXELS)
        photo = pool.submit(remote.encode, PIXELS + 1)
        begun.wait()
        remote.decode(features, CLICK)
        assert not photo.done()
        free.set()


def test_stopping_ends_every_thread_and_frees_the_port() -> None:
    before = threading.active_count()
    server = serve(FakeEngine())
    engines = [RemoteEngine(server.url, server.token) for _ in range(3)]
    assert threading.active_count() > before
    server.stop()
    server.stop()
    assert threading.active_count() == before
    with serve(FakeEngine(), port=int(server.url.rpartition(":")[2])) as again:
        assert again.url == server.url
        # A server that was started anew has another token.
        with pytest.raises(RemoteError, match=r"token=server\.token"):
            engines[0].encode(PIXELS)


def test_stopping_waits_for_the_work_at_hand(caplog: pytest.LogCaptureFixture) -> None:
    begun, free = threading.Event(), threading.Event()

    class Slow(FakeEngine):
        def encode(self, pixels: np.ndarray) -> Features:
            begun.set()
            free.wait()
            return super().encode(pixels)

    engine = Slow()
    server = serve(engine)
    remote = RemoteEngine(server.url, server.token)
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(remote.encode, PIXELS)
        begun.wait()
        stopping = pool.submit(server.stop)
        with pytest.raises(RemoteError, match="did not answer"):
            asked.result()
        assert not stopping.done()
        free.set()
        stopping.result()
    assert engine.encoded == [1]
    assert not caplog.records


def test_other_machines_cannot_reach_a_server(server: Server) -> None:
    assert server._socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", -1),
        ("port", 70000),
        ("port", "80"),
        ("body_bytes", 0),
        ("kept_bytes", 1e9),
        ("answer_bytes", None),
    ],
)
def test_limits_that_cannot_be_kept_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^{name} is "):
        serve(FakeEngine(), **{name: value})


def test_only_engines_are_served() -> None:
    with pytest.raises(ValueError, match=r"segmenter\.engine"):
        serve(Segmenter(FakeEngine()))
