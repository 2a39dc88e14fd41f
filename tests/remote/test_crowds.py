"""Many clients at once, some of them malicious: each gets its own right answer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sam2lab.remote import Limits, RemoteEngine, Server, serve, wire
from sam2lab.runtime.segmenter import Segmenter
from tests.remote.raw import click, connect, request, send
from tests.runtime.fakes import FakeEngine

CLIENTS = 8


def ask(server: Server, client: int, rounds: int = 5) -> bool:
    """Ask about one client's own photos; return whether all masks equal a local engine's."""
    rng = np.random.default_rng(client)
    local = Segmenter(FakeEngine())
    same = []
    with RemoteEngine(server.url, server.token) as engine:
        remote = Segmenter(engine)
        for _ in range(rounds):
            photo = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
            click = {"point_coordinates": rng.uniform(0, 40, (1, 2)), "point_labels": [1]}
            (ours,), (theirs,) = (s.segment_images(photo, **click) for s in (local, remote))
            same.append(np.array_equal(ours.masks, theirs.masks))
    return all(same)


def test_eight_clients_at_once_each_get_their_own_masks(server: Server) -> None:
    with ThreadPoolExecutor(CLIENTS) as pool:
        assert all(pool.map(lambda client: ask(server, client), range(CLIENTS)))


def test_eight_threads_may_share_one_engine(server: Server, photo_file: bytes) -> None:
    with RemoteEngine(server.url, server.token) as remote:
        wanted = [
            remote.segment(photo_file, point_coordinates=[[x, 20]], point_labels=[1]).masks
            for x in range(0, 64, 8)
        ]
        with ThreadPoolExecutor(CLIENTS) as pool:
            found = pool.map(
                lambda x: (
                    remote.segment(photo_file, point_coordinates=[[x, 20]], point_labels=[1]).masks
                ),
                range(0, 64, 8),
            )
            for ours, theirs in zip(wanted, found, strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_clients_that_send_nothing_or_stop_halfway_block_no_other_client(server: Server) -> None:
    quiet = [connect(server) for _ in range(40)]
    for connection in quiet[20:]:
        connection.sendall(request(server, bytes(10), length="1000"))
    assert ask(server, client=0)
    for connection in quiet:
        connection.close()


def malformed(server: Server, rng: np.random.Generator) -> bytes:
    """Make a damaged request, or bytes that are no request at all."""
    body = click()
    right = request(server, body)
    kind = rng.integers(8)
    if kind == 0:
        return rng.bytes(int(rng.integers(1, 2000)))
    if kind == 1:
        return right[: int(rng.integers(1, len(right)))]
    if kind == 2:
        damaged = bytearray(right)
        for place in rng.integers(0, len(right), int(rng.integers(1, 20))):
            damaged[place] = rng.integers(256)
        return bytes(damaged)
    if kind == 3:
        return request(server, rng.bytes(int(rng.integers(0, 500))))
    if kind == 4:
        damaged = bytearray(body)
        for place in rng.integers(0, len(body), int(rng.integers(1, 10))):
            damaged[place] = rng.integers(256)
        return request(server, bytes(damaged))
    if kind == 5:
        lengths = ("-1", "1e3", "9" * 40, "0x10", "")
        return request(server, body, length=str(rng.choice(lengths)))
    if kind == 6:
        route = rng.choice(["/encode", "/decode", "/features", "/segment"])
        shape = rng.integers(0, 9, int(rng.integers(0, 5)))
        names = ("pixels", "photo", "handle", "boxes", "point_coords", "mask_input")
        dtypes = (np.float32, np.uint8, np.int64, np.float64, bool)
        arrays = {str(rng.choice(names)): np.ones(shape, dtypes[rng.integers(len(dtypes))])}
        return request(server, wire.pack(arrays), line=f"POST {route} HTTP/1.1")
    return right[: len(right) // 2] + right


def test_two_hundred_malformed_requests_harm_no_other_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rng = np.random.default_rng(0)
    with serve(FakeEngine(), limits=Limits(request_s=0.5, idle_s=0.5)) as server:
        requests = [malformed(server, rng) for _ in range(200)]
        threads_before = threading.active_count()
        with ThreadPoolExecutor(CLIENTS) as pool:
            asking = [pool.submit(ask, server, client) for client in range(CLIENTS // 2)]
            replies = list(pool.map(lambda data: send(server, data), requests))
            assert all(future.result() for future in asking)
        assert ask(server, client=99), "the server still works"
        # The server's two workers start with their first request.
        assert threading.active_count() <= threads_before + 2
    refused = [reply for reply in replies if reply]
    # A request that is not whole gets no answer.
    assert len(refused) > 100
    for reply in refused:
        assert 400 <= int(reply.split()[1]) < 500, reply[:200]
        assert b"Traceback" not in reply
        assert b'File "' not in reply
    assert not [r for r in caplog.records if r.levelname in ("ERROR", "CRITICAL")]


def test_a_hundred_photos_take_no_more_memory_than_agreed() -> None:
    one = FakeEngine().encode(np.zeros((1, 3, 64, 96), np.float32)).nbytes
    with serve(FakeEngine(), limits=Limits(features_bytes=5 * one)) as server:
        with RemoteEngine(server.url, server.token) as remote:
            for shade in range(100):
                remote.encode(np.full((1, 3, 64, 96), shade, np.float32))
                assert server.features.bytes <= 5 * one
        assert server.features.entries == 5
