"""A wrong request is refused with a reason, and other clients notice nothing."""

from __future__ import annotations

import io
import logging
import struct
import time
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image

from sam2lab.remote import Limits, RemoteEngine, RemoteError, Server, serve, wire
from sam2lab.runtime.engines.protocol import Decoded, Features, PromptBatch
from tests.remote.raw import answer, click, connect, received, request, send
from tests.runtime.fakes import FakeEngine


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """All tests share one server, because no request may change its state."""
    with serve(FakeEngine()) as running:
        yield running


def segment(photo: bytes, **changed: np.ndarray) -> bytes:
    arrays = {
        "photo": np.frombuffer(photo, np.uint8),
        "multi_mask_output": np.array(True),
        "point_coordinates": np.array([[5.0, 5.0]]),
        "point_labels": np.array([1.0]),
    }
    return wire.pack(arrays | changed)


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header announces any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("wrong", "status", "reason"),
    [
        ({"token": ""}, 401, "Bearer"),
        ({"token": "guess"}, 401, "Bearer"),
        ({"token": "\xff\xfe"}, 401, "Bearer"),
        ({"line": "POST /nowhere HTTP/1.1"}, 404, "/decode"),
        ({"line": "POST /decode/../info HTTP/1.1"}, 404, "/decode"),
        ({"line": "GET /decode HTTP/1.1"}, 404, "/info"),
        ({"line": "POST /info HTTP/1.1"}, 404, "/decode"),
        ({"line": "PUT /decode HTTP/1.1"}, 405, "Not Allowed"),
    ],
    ids=str,
)
def test_a_wrong_request_is_refused_with_a_reason(
    wrong: dict, status: int, reason: str, server: Server
) -> None:
    body = wrong.pop("body", b"")
    found, said = answer(send(server, request(server, body, **wrong)))
    assert found == status
    assert reason in said["error"]


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "not safetensors"),
        (b"{}", 400, "not safetensors"),
        (b"\x80\x04pickle is never loaded.", 400, "not safetensors"),
        (struct.pack("<Q", 2**62), 400, "not safetensors"),
        (struct.pack("<Q", 9) + b"not json!", 400, "not safetensors"),
        (struct.pack("<Q", 5000) + b"[" * 5000, 400, "not safetensors"),
        (
            struct.pack("<Q", 53)
            + b'{"x":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]'
            + b"}}",
            400,
            "not safetensors",
        ),
        (wire.pack({"evil": np.zeros(3)}), 400, "'evil'"),
        (click(point_coords=None), 400, "lacks point_coords"),
        (click(handle=None), 400, "lacks handle"),
        (click(handle=np.zeros(31, np.uint8)), 400, "handle has shape"),
        (click(handle=np.zeros((32, 0), np.uint8)), 400, "handle has shape"),
        (click(), 410, "encode it again"),
        (click(point_coords=np.zeros((1, 1, 2), np.int8)), 400, "dtype int8"),
        (click(point_coords=np.zeros((1, 2), np.float32)), 400, "point_coords has shape"),
        (click(point_coords=np.zeros((1, 1, 3), np.float32)), 400, "point_coords has shape"),
        (click(point_labels=np.zeros((2, 1), np.float32)), 400, "point_labels (2, 1)"),
        (click(point_coords=np.full((1, 1, 2), np.nan, np.float32)), 400, "NaN"),
        (click(point_coords=np.full((1, 1, 2), np.inf, np.float32)), 400, "infinity"),
        (click(point_labels=np.full((1, 1), np.nan, np.float32)), 400, "point_labels holds"),
        (click(point_labels=np.full((1, 1), 9, np.float32)), 400, "point_labels holds"),
        (click(mask_input=np.zeros((1, 1, 3, 3), np.float32)), 400, "mask_input has shape"),
        (click(mask_input=np.zeros((2, 1, 16, 24), np.float32)), 400, "mask_input has shape"),
        (click(mask_input=np.full((1, 1, 16, 24), np.nan, np.float32)), 400, "mask_input holds"),
        (
            click(
                point_coords=np.zeros((1, 0, 2), np.float32),
                point_labels=np.zeros((1, 0), np.float32),
            ),
            400,
            "no prompt",
        ),
        (
            click(
                point_coords=np.zeros((65, 1, 2), np.float32),
                point_labels=np.zeros((65, 1), np.float32),
            ),
            400,
            "65 objects",
        ),
        (
            click(
                point_coords=np.zeros((1, 2000, 2), np.float32),
                point_labels=np.zeros((1, 2000), np.float32),
            ),
            400,
            "2000 points",
        ),
        # An empty array in the request can announce more objects than memory holds.
        (
            click(
                point_coords=np.empty((2**40, 0, 2), np.float32),
                point_labels=np.empty((2**40, 0), np.float32),
                mask_input=np.zeros((1, 1, 16, 24), np.float32),
            ),
            400,
            "objects",
        ),
        (
            click(
                handle=None,
                image_embed=np.zeros((1, 8, 4, 6), np.float32),
                high_res_feats_0=np.zeros((1, 1, 16, 24), np.float32),
            ),
            400,
            "lacks handle, or else high_res_feats_1",
        ),
        (
            click(
                handle=None,
                image_embed=np.zeros((1, 8, 4, 6), np.float32),
                high_res_feats_0=np.zeros((1, 1, 4, 4), np.float32),
                high_res_feats_1=np.zeros((1, 2, 8, 12), np.float32),
            ),
            400,
            "high_res_feats_0 has shape",
        ),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_with_a_reason(
    body: bytes, status: int, reason: str, server: Server
) -> None:
    found, said = answer(send(server, request(server, body)))
    assert (found, reason in said["error"]) == (status, True), said


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.zeros((3, 64, 96), np.float32), "wanted (B, 3, 64, 96)"),
        (np.zeros((1, 3, 96, 64), np.float32), "wanted (B, 3, 64, 96)"),
        (np.zeros((0, 3, 64, 96), np.float32), "wanted one image or more"),
        (np.zeros((1, 3, 64, 96), np.float64), "float64"),
        (np.full((1, 3, 64, 96), np.nan, np.float32), "NaN"),
    ],
)
def test_pixels_that_are_no_photo_are_refused(
    pixels: np.ndarray, reason: str, server: Server
) -> None:
    body = wire.pack({"pixels": pixels})
    found, said = answer(send(server, request(server, body, line="POST /encode HTTP/1.1")))
    assert (found, reason in said["error"]) == (400, True), said


@pytest.mark.parametrize(
    ("make", "status", "reason"),
    [
        (lambda file: segment(b""), 400, "no picture"),
        (lambda file: segment(b"GIF89a" + bytes(50)), 400, "JPEG or PNG"),
        (lambda file: segment(b"%!PS-Adobe-3.0 EPSF-3.0\n"), 400, "JPEG or PNG"),
        (lambda file: segment(file[: len(file) // 2]), 400, "cut short"),
        (lambda file: segment(file[:30]), 400, "photo"),
        (lambda file: segment(png_that_claims(9000, 9000)), 400, "9000 x 9000 pixels"),
        (lambda file: segment(png_that_claims(2**31 - 1, 2**31 - 1)), 400, "no picture"),
        (lambda file: segment(file, point_labels=np.array([7.0])), 400, "point_labels holds 7"),
        (lambda file: segment(file, boxes=np.zeros(3)), 400, "boxes has shape"),
        (lambda file: segment(file, boxes=np.full(4, np.nan)), 400, "boxes holds NaN"),
        (lambda file: segment(file, boxes=np.zeros((2**40, 0))), 400, "boxes is empty"),
        (lambda file: segment(file, point_coordinates=np.empty((2**40, 0, 2))), 400, "point_"),
        (lambda file: segment(file, multi_mask_output=np.ones(2, bool)), 400, "ambiguous"),
        (
            lambda file: segment(
                file, point_coordinates=np.zeros((70, 1, 2)), point_labels=np.ones((70, 1))
            ),
            400,
            "70 objects",
        ),
    ],
)
def test_a_photo_or_prompt_that_cannot_be_used_is_refused(
    make: Callable[[bytes], bytes], status: int, reason: str, server: Server, photo_file: bytes
) -> None:
    asked = request(server, make(photo_file), line="POST /segment HTTP/1.1")
    found, said = answer(send(server, asked))
    assert (found, reason in said["error"]) == (status, True), said


def test_masks_that_would_fill_the_memory_are_not_made(engine: FakeEngine) -> None:
    file = io.BytesIO()
    Image.new("L", (1000, 1000)).save(file, "PNG")
    with serve(engine, limits=Limits(answer_bytes=2_000_000)) as server:
        asked = request(server, segment(file.getvalue()), line="POST /segment HTTP/1.1")
        found, said = answer(send(server, asked))
    assert (found, engine.encoded) == (400, [])
    assert "3000000 bytes" in said["error"]


def test_a_failing_engine_is_reported_without_its_insides(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(FakeEngine):
        def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
            raise RuntimeError("secret in /home/owner/model.onnx")

    prompts = PromptBatch(np.zeros((1, 1, 2), np.float32), np.ones((1, 1), np.float32))
    with serve(Broken()) as server, RemoteEngine(server.url, server.token) as remote:
        features = remote.encode(np.zeros((1, 3, 64, 96), np.float32))
        with pytest.raises(RemoteError, match="500: the engine failed") as caught:
            remote.decode(features, prompts)
        remote.encode(np.zeros((1, 3, 64, 96), np.float32))
    assert "secret" not in str(caught.value)
    assert "secret" in caplog.text, "the person who serves is told"


def test_the_token_is_in_no_log(
    engine: FakeEngine, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with serve(engine) as server:
        with RemoteEngine(server.url, server.token) as remote:
            assert server.token not in repr(remote)
        assert server.token not in repr(server)
        send(server, request(server, b"", line=f"GET /{server.token} HTTP/1.1"))
        send(server, request(server, b"x"))
        send(server, b"here is the token: " + server.token.encode() + b"\r\n\r\n")
        assert server.token not in server.url
    printed = capfd.readouterr()
    assert server.token not in caplog.text + printed.out + printed.err


def test_answers_do_not_name_python_or_its_version(server: Server) -> None:
    head = send(server, request(server, line="GET /info HTTP/1.1", token="no")).partition(
        b"\r\n\r\n"
    )
    assert b"python" not in head[0].lower()


def test_a_body_that_breaks_off_or_is_too_large_is_not_answered(server: Server) -> None:
    assert send(server, request(server, b"short", length="400"), half_close=True) == b""
    assert b" 400 " in send(server, request(server, length="9" * 12))


def test_a_refusal_reaches_a_client_that_is_still_sending(server: Server) -> None:
    body = bytes(30_000_000)
    found, _ = answer(send(server, request(server, body, token="no")))
    assert found == 401


def test_a_claimed_length_takes_no_memory(server: Server) -> None:
    """The largest body that is taken, announced on many connections and never sent."""
    import psutil

    process = psutil.Process()
    before = process.memory_info().rss
    held = []
    for _ in range(20):
        connection = connect(server)
        connection.sendall(request(server, b"x" * 10, length=str(64 * 2**20)))
        held.append(connection)
    time.sleep(0.2)
    grown = process.memory_info().rss - before
    for connection in held:
        connection.close()
    # 20 bodies of 64 MiB would be 1280 MiB; threads and their buffers are a hundredth of it.
    assert grown < 100 * 2**20


@pytest.mark.parametrize("part", ["head", "body", "nothing"])
def test_a_client_that_dawdles_is_hung_up_on(part: str, engine: FakeEngine) -> None:
    asked = b"POST /decode HTTP/1.1\r\nX: " + b"y" * 1000
    with serve(engine, limits=Limits(request_s=0.3, idle_s=0.3)) as server:
        if part == "body":
            asked = request(server, bytes(1000))
        with connect(server) as connection:
            connection.settimeout(0.02)
            sent = (
                -len(asked)
                if part == "nothing"
                else asked.index(b"\r\n\r\n" if part == "body" else b"y")
            )
            if sent > 0:
                connection.sendall(asked[: sent + 4])
            # A byte now and then, for as long as the server lets it.
            for _ in range(500):
                try:
                    if part != "nothing":
                        connection.sendall(b"y")
                    if not connection.recv(1000):
                        break
                except TimeoutError:
                    continue
                except ConnectionError:
                    break
            else:
                pytest.fail("the server still listens")


def test_a_client_that_does_not_take_its_answer_is_hung_up_on(photo_file: bytes) -> None:
    class Wide(FakeEngine):
        def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
            return Decoded(np.zeros((4, 1024, 2048), np.float32), np.zeros(4, np.float32))

    with serve(Wide(), limits=Limits(request_s=0.3)) as server:
        with RemoteEngine(server.url, server.token) as remote:
            (handle,) = remote.encode(np.zeros((1, 3, 64, 96), np.float32)).handles
        with connect(server) as connection:
            connection.sendall(request(server, click(handle=handle)))
            time.sleep(1)
            # A part waits in the sockets of both ends; the rest of 32 MiB never comes.
            assert len(received(connection)) < 2**25
