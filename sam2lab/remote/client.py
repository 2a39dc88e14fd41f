"""`RemoteEngine`: an engine that asks a server, and measures every trip."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError, TimeoutError

from sam2lab.remote import wire
from sam2lab.remote.features import Bytes, RemoteFeatures
from sam2lab.remote.network import SimulatedNetwork
from sam2lab.remote.wire import HOST, Arrays, FeaturesGone, RefusedError, RemoteError
from sam2lab.runtime import prompts as prompting
from sam2lab.runtime.arguments import number
from sam2lab.runtime.engines.protocol import FEATURES, Decoded, Features, Float32, PromptBatch

# Connections that stay open between requests; more may be open while more threads ask.
MOST_KEPT_OPEN = 64


@dataclass(frozen=True)
class Trip:
    """The cost of one request: bytes of the two bodies, and seconds.

    `total_s` was measured here and includes the other two: `server_s`, which the server measured
    from the last byte in to the answer being ready, and `simulated_s`, the wait for a simulated
    network.
    """

    route: str
    sent_bytes: int
    received_bytes: int
    total_s: float
    server_s: float
    simulated_s: float

    @property
    def transport_s(self) -> float:
        """The seconds for sockets, HTTP and packing: the real cost of asking another process."""
        return self.total_s - self.server_s - self.simulated_s


class Segmented(NamedTuple):
    """The answer of `RemoteEngine.segment`.

    With C candidates (3, or 1): `masks` (C, H, W) boolean at the photo's size, `scores` (C,)
    predicted IoU. Where prompts for L > 1 objects were given, each has a first axis of L.
    """

    masks: npt.NDArray[np.bool_]
    scores: Float32


class RemoteEngine:
    """The engine that `serve(engine)` serves, with the same interface.

    Features stay on the server, which keeps those used last, and cross the line only when
    their arrays are read. An image that the server no longer keeps raises `FeaturesGone`; it is not
    encoded again unasked, so that a decode never costs an encode. Connections are kept open and
    reused; any number of threads may ask.

    With a `network` each request also waits for that simulated line. `key` and `info.name` say
    so, and so does what is made with this engine.

    ```python
    with serve(engine) as server, RemoteEngine(server.url, server.token) as remote:
        masks, scores = remote.segment("photo.jpg", boxes=[40, 40, 200, 160])
        print(remote.last_trip)
    ```
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        network: SimulatedNetwork | None = None,
        timeout_s: float = 120.0,
    ) -> None:
        if not isinstance(network, SimulatedNetwork | None):
            raise ValueError(
                f"network is {network!r}; wanted a SimulatedNetwork, such as one of "
                "ASSUMED_NETWORKS.values(), or None"
            )
        address = re.fullmatch(rf"http://{re.escape(HOST)}:([0-9]{{1,5}})/?", str(url))
        if address is None or not 0 < int(address[1]) <= 65535:
            raise ValueError(
                f"url is {url!r}; wanted server.url, such as 'http://127.0.0.1:40123'. A server on "
                "another machine is reached through an SSH tunnel: ssh -L 40123:127.0.0.1:PORT HOST"
            )
        if not isinstance(token, str) or not re.fullmatch("[!-~]+", token):
            raise ValueError("token is not what a server draws; wanted server.token")
        self.url = str(url).rstrip("/")
        self.network = network
        self._timeout_s = number("timeout_s", timeout_s, *wire.WAITING_S)
        # urllib3 sets TCP_NODELAY: without it a small request may wait 40 ms for the one before.
        self._pool = urllib3.HTTPConnectionPool(
            HOST,
            int(address[1]),
            timeout=self._timeout_s,
            maxsize=MOST_KEPT_OPEN,
            retries=False,
            headers={"Authorization": f"Bearer {token}"},
        )
        self._lock = threading.Lock()
        self._trips = 0
        self._last = threading.local()
        reply = self._exchange("GET", "/info")
        _raise_for_status(reply, self.url)
        self.info, key, self._body_bytes = wire.unpack_greeting(reply.data)
        self.key = f"remote:{key}"
        if network is not None:
            self.key += f":{network}, seed {network.seed}"
            self.info = replace(self.info, name=f"{self.info.name}, simulated {network.name}")

    @property
    def last_trip(self) -> Trip | None:
        """The last request that this thread made, None before the first."""
        return getattr(self._last, "trip", None)

    def encode(self, pixels: Float32) -> RemoteFeatures:
        """Encode normalised pixels (B, 3, H, W) in RGB order; the features stay there."""
        reply = self._ask("/encode", {"pixels": np.asarray(pixels, np.float32)})
        answer = _unpacked(reply, {"handles": "uint8", "nbytes": "int64"})
        return RemoteFeatures(self.url, answer["handles"], answer["nbytes"], self._fetch)

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        """Answer L prompts on one image (`features` of batch 1).

        Features that were made elsewhere, such as those of an `EmbeddingStore`, go up with each
        question: 16 MB for a model of 1024 x 1024.
        """
        asked = {"point_coords": prompts.point_coords, "point_labels": prompts.point_labels}
        if prompts.mask_input is not None:
            asked["mask_input"] = prompts.mask_input
        asked = {name: np.asarray(array, np.float32) for name, array in asked.items()}
        answer = self._ask("/decode", asked | self._named(features))
        return Decoded(**_unpacked(answer, {"logits": "float32", "scores": "float32"}))

    def segment(
        self,
        photo: str | os.PathLike[str] | bytes,
        *,
        point_coordinates: npt.ArrayLike | None = None,
        point_labels: npt.ArrayLike | None = None,
        boxes: npt.ArrayLike | None = None,
        mask_input: npt.ArrayLike | None = None,
        multi_mask_output: bool = True,
    ) -> Segmented:
        """Send a photo and prompts, get masks, as cloud services do; nothing is remembered.

        `photo` is a JPEG or PNG file or its bytes, and goes up as it is. Prompts are those of
        `Segmenter.segment_images` for one image, in pixels of the photo.
        """
        if not isinstance(photo, str | os.PathLike | bytes):
            raise ValueError(
                f"photo is {type(photo).__name__}; wanted the path of a JPEG or PNG file, or the "
                "file's bytes; arrays and pictures in memory go through Segmenter(remote)"
            )
        file = photo if isinstance(photo, bytes) else Path(photo).read_bytes()
        asked: Arrays = {
            "photo": np.frombuffer(file, np.uint8),
            "multi_mask_output": np.array(multi_mask_output, bool),
        }
        prompts = {"point_coordinates": point_coordinates, "point_labels": point_labels}
        prompts |= {"boxes": boxes, "mask_input": mask_input}
        asked |= {name: _numbers(name, it) for name, it in prompts.items() if it is not None}
        wanted = {"masks": "uint8", "shape": "int64", "scores": "float32"}
        answer = _unpacked(self._ask("/segment", asked), wanted)
        return Segmented(wire.unpack_masks(answer["masks"], answer["shape"]), answer["scores"])

    def close(self) -> None:
        """Close the connections; asking again opens new ones."""
        self._pool.close()

    def __enter__(self) -> RemoteEngine:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        line = "" if self.network is None else f", with {self.network}"
        return f"<RemoteEngine: {self.info.name} at {self.url}{line}>"

    def _named(self, features: Features) -> Arrays:
        if not isinstance(features, RemoteFeatures):
            return {name: getattr(features, name) for name in FEATURES}
        if features.url != self.url:
            raise ValueError(
                f"features are kept by the server at {features.url}, this engine asks "
                f"{self.url}; encode the image again with this engine"
            )
        if len(features.handles) != 1:
            raise ValueError(
                f"features are of {len(features.handles)} images; wanted one: features.split()"
            )
        return {"handle": features.handles[0]}

    def _fetch(self, handle: Bytes) -> Features:
        reply = self._ask("/features", {"handle": handle})
        return Features(**_unpacked(reply, dict.fromkeys(FEATURES, "float32")))

    def _ask(self, route: str, arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
        started = perf_counter()
        body = wire.pack(arrays)
        if len(body) > self._body_bytes:
            raise RefusedError(
                f"{route}: the request takes {len(body)} bytes, the server takes "
                f"{self._body_bytes}; send fewer images or objects at once, or serve with larger "
                "Limits(body_bytes=)"
            )
        with self._lock:
            crossing = 2 * self._trips
            self._trips += 1
        simulated = self._wait(len(body), crossing)
        reply = self._exchange("POST", route, body)
        simulated += self._wait(len(reply.data), crossing + 1)
        total = perf_counter() - started
        self._last.trip = Trip(
            route, len(body), len(reply.data), total, _server_s(reply), simulated
        )
        _raise_for_status(reply, self.url + route)
        return reply.data

    def _exchange(
        self, method: str, route: str, body: bytes | None = None
    ) -> urllib3.BaseHTTPResponse:
        """Ask; once more where the server hung up, as it does on connections long unused."""
        try:
            try:
                return self._pool.urlopen(method, route, body, redirect=False)
            # Requests change nothing on the server that matters, so asking again is safe.
            except ProtocolError:
                return self._pool.urlopen(method, route, body, redirect=False)
        except NewConnectionError as error:
            raise RemoteError(
                f"nothing listens at {self.url}; is the server stopped? Start one with "
                "serve(engine), and take url and token from it"
            ) from error
        except TimeoutError as error:
            raise RemoteError(
                f"{self.url} did not answer within {self._timeout_s:g} s; pass a larger timeout_s, "
                "or see what its process is busy with"
            ) from error
        except HTTPError as error:
            raise RemoteError(
                f"{self.url} broke off ({type(error).__name__}); if a server of sam2lab is running "
                "there, ask again"
            ) from error

    def _wait(self, nbytes: int, crossing: int) -> float:
        if self.network is None:
            return 0.0
        seconds = self.network.seconds(nbytes, crossing)
        sleep(seconds)
        return seconds


def _numbers(name: str, prompt: npt.ArrayLike) -> npt.NDArray[Any]:
    """Turn a prompt into the numbers that are sent; the server checks their values."""
    array = prompting.as_array(name, prompt)
    kinds, dtype = ("f", np.float32) if name == "mask_input" else ("biuf", np.float64)
    if array.dtype.kind not in kinds:
        raise ValueError(
            f"{name} is of dtype {array.dtype}; wanted an array or list of numbers, for mask_input "
            "float logits that an earlier call returned"
        )
    return array.astype(dtype)


def _unpacked(body: bytes, dtypes: Mapping[str, str]) -> Arrays:
    try:
        return wire.unpack(body, dtypes)
    except RefusedError as error:
        raise RemoteError(f"the server's answer makes no sense: {error}") from error


def _server_s(reply: urllib3.BaseHTTPResponse) -> float:
    found = re.fullmatch(r"work;dur=([0-9]+\.[0-9]+)", reply.headers.get("Server-Timing", ""))
    return float(found[1]) / 1000 if found else 0.0


def _raise_for_status(reply: urllib3.BaseHTTPResponse, where: str) -> None:
    if reply.status == 200:
        return
    try:
        reason = json.loads(reply.data)["error"]
    except (ValueError, TypeError, KeyError):
        reason = "no reason given; is this a server of sam2lab?"
    if reply.status == 410:
        raise FeaturesGone(
            f"{reason}. A Segmenter forgets its embeddings with "
            "segmenter.embeddings_cache.clear(); serve with larger Limits(features_bytes=) to "
            "keep more"
        )
    if reply.status == 400:
        raise RefusedError(f"{where} refuses: {reason}")
    if reply.status == 401:
        raise RemoteError(f"{where} does not know this token; pass token=server.token")
    raise RemoteError(f"{where} answers {reply.status}: {reason}")
