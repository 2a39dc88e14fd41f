"""`Connection` asks a server, and measures every trip."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import Any, Self

import numpy.typing as npt
import urllib3
from safetensors.numpy import load

from sam2lab.remote.network import SimulatedNetwork
from sam2lab.remote.server import HOST
from sam2lab.remote.service import Arrays, pack
from sam2lab.runtime.arguments import number

# Connections that stay open between requests; more may be open while more threads ask.
MOST_KEPT_OPEN = 64


class RemoteError(RuntimeError):
    """The server did not answer, or not as it should; the message says what to do."""


class RefusedError(RemoteError, ValueError):
    """The request is wrong, and the message says how."""


class ForgottenError(RemoteError):
    """The server no longer keeps what the request names."""


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


class Connection:
    """Asks the server at `url` from any number of threads.

    `greeting` is what the server said of itself, `last_trip` the last request of any thread, None
    before the first.
    """

    def __init__(
        self, url: str, token: str, network: SimulatedNetwork | None, timeout_s: float
    ) -> None:
        if not isinstance(network, SimulatedNetwork | None):
            raise ValueError(
                f"network is {network!r}; wanted a SimulatedNetwork, such as one of "
                "ASSUMED_NETWORKS.values(), or None"
            )
        if not re.fullmatch(rf"http://{re.escape(HOST)}:\d+/?", str(url)):
            raise ValueError(
                f"url is {url!r}; wanted server.url, such as 'http://127.0.0.1:40123'. A server on "
                "another machine is reached through an SSH tunnel: ssh -L 40123:127.0.0.1:PORT HOST"
            )
        self.url = url.rstrip("/")
        self.network = network
        self.last_trip: Trip | None = None
        self._timeout_s = number("timeout_s", timeout_s, 0.001, 86_400)
        # urllib3 sets TCP_NODELAY: without it a small request may wait 40 ms for the one before.
        self._pool = urllib3.connection_from_url(
            self.url,
            timeout=self._timeout_s,
            maxsize=MOST_KEPT_OPEN,
            retries=False,
            headers={"Authorization": f"Bearer {token}"},
        )
        self._crossings = itertools.count()
        self.greeting = self._exchange("GET", "/info").json()

    def ask(self, route: str, **arrays: npt.NDArray[Any]) -> Arrays:
        """Send arrays, and return those of the answer."""
        started = perf_counter()
        body, most = pack(arrays), self.greeting["body_bytes"]
        if len(body) > most:
            raise RefusedError(
                f"{route}: the request takes {len(body)} bytes, the server takes {most}; send "
                "fewer images or objects at once, or serve with larger body_bytes="
            )
        simulated_s = self._wait(len(body))
        reply = self._exchange("POST", route, body)
        simulated_s += self._wait(len(reply.data))
        self.last_trip = Trip(
            route,
            sent_bytes=len(body),
            received_bytes=len(reply.data),
            total_s=perf_counter() - started,
            server_s=float(reply.headers["Server-Timing"].rpartition("=")[2]) / 1000,
            simulated_s=simulated_s,
        )
        return load(reply.data)

    def close(self) -> None:
        """Close the connections; asking again opens new ones."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _exchange(
        self, method: str, route: str, body: bytes | None = None
    ) -> urllib3.BaseHTTPResponse:
        try:
            reply = self._pool.urlopen(method, route, body, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise RemoteError(
                f"{self.url} did not answer: {error}. Is the server stopped? Then start one with "
                "serve(engine), and take url and token from it. Is it busy? Then pass a larger "
                f"timeout_s than {self._timeout_s:g}"
            ) from error
        where = self.url + route
        if reply.status == 400:
            raise RefusedError(f"{where} refuses: {reply.data.decode()}")
        if reply.status == 401:
            raise RemoteError(f"{where} does not know this token; pass token=server.token")
        if reply.status == 410:
            raise ForgottenError(f"{where} keeps too little; serve with larger kept_bytes=")
        if reply.status != 200:
            raise RemoteError(
                f"{where} answers {reply.status}; is it a server of sam2lab? Then its log says why"
            )
        return reply

    def _wait(self, nbytes: int) -> float:
        if self.network is None:
            return 0.0
        seconds = self.network.seconds(nbytes, next(self._crossings))
        sleep(seconds)
        return seconds
