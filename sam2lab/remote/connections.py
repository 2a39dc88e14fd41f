"""Connections to one server, kept open between requests and shared by threads."""

from __future__ import annotations

import http.client
import re
import threading
from typing import NamedTuple

from sam2lab.remote import wire
from sam2lab.runtime.arguments import number


class RemoteError(RuntimeError):
    """The server did not answer, or not as it should; the message says what to do."""


class RefusedError(RemoteError, ValueError):
    """The server says that the request is wrong, and how."""


class FeaturesGone(RefusedError):
    """The server no longer keeps the features of an image: it has to be encoded again."""


class Reply(NamedTuple):
    """A status, a body, and the seconds of work that the server says it took."""

    status: int
    body: bytes
    server_s: float


class Connections:
    """As many connections as requests were ever made at once; http.client sets TCP_NODELAY.

    Only to 127.0.0.1: the token and the photos go in the clear.
    """

    def __init__(self, url: str, token: str, timeout_s: float) -> None:
        address = re.fullmatch(r"http://(127\.0\.0\.1):([0-9]{1,5})/?", str(url))
        if address is None or not 0 < int(address[2]) <= 65535:
            raise ValueError(
                f"url is {url!r}; wanted server.url, such as 'http://127.0.0.1:40123'. A server on "
                "another machine is reached through an SSH tunnel: ssh -L 40123:127.0.0.1:PORT HOST"
            )
        if not isinstance(token, str) or not re.fullmatch("[!-~]+", token):
            raise ValueError("token is not what a server draws; wanted server.token")
        self._address = address[1], int(address[2])
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": wire.ARRAYS_TYPE}
        self._timeout_s = number("timeout_s", timeout_s, *wire.WAITING_S)
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def request(self, method: str, route: str, body: bytes | None = None) -> Reply:
        """Ask once, and once more where the server has hung up on a connection that was kept."""
        with self._lock:
            used = self._idle.pop() if self._idle else None
        if used is not None:
            try:
                return self._exchange(used, method, route, body)
            # Requests change nothing on the server that matters, so asking again is safe.
            except ConnectionError:
                pass
            except (OSError, http.client.HTTPException) as error:
                raise self._explained(error) from error
        fresh = http.client.HTTPConnection(*self._address, timeout=self._timeout_s)
        try:
            return self._exchange(fresh, method, route, body)
        except (OSError, http.client.HTTPException) as error:
            raise self._explained(error) from error

    def close(self) -> None:
        """Close those that nobody is using."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, route: str, body: bytes | None
    ) -> Reply:
        try:
            connection.request(method, route, body, self._headers)
            response = connection.getresponse()
            reply = Reply(response.status, response.read(), _server_s(response))
        except BaseException:
            connection.close()
            raise
        # After "Connection: close" http.client has closed it, and would open it anew.
        if connection.sock is not None:
            with self._lock:
                self._idle.append(connection)
        return reply

    def _explained(self, error: Exception) -> RemoteError:
        url = "http://{}:{}".format(*self._address)
        if isinstance(error, TimeoutError):
            return RemoteError(
                f"{url} did not answer within {self._timeout_s:g} s; pass a larger timeout_s, or "
                "see what its process is busy with"
            )
        if isinstance(error, ConnectionRefusedError):
            return RemoteError(
                f"nothing listens at {url}; is the server stopped? Start one with serve(engine), "
                "and take url and token from it"
            )
        return RemoteError(
            f"{url} broke off ({type(error).__name__}); if a server of sam2lab is running there, "
            "ask again"
        )


def _server_s(response: http.client.HTTPResponse) -> float:
    found = re.search(r"work;dur=([0-9]{1,12}\.[0-9]+)", response.getheader("Server-Timing") or "")
    return float(found[1]) / 1000 if found else 0.0
