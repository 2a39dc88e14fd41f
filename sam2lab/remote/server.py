"""`serve(engine)`: a model behind HTTP, for this machine only."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from typing import Any

from sam2lab.remote.handler import Handler
from sam2lab.remote.requests import Limits
from sam2lab.remote.service import Service
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.engines.protocol import Engine
from sam2lab.runtime.lru import CacheInfo

LOG = logging.getLogger("sam2lab.remote")

# Not a parameter: the token crosses the line in the clear, so there must be no line.
HOST = "127.0.0.1"

# How often a running server looks whether it should stop.
STOP_POLL_S = 0.05
# How often a full server looks whether a connection has become free.
FULL_POLL_S = 0.05
# A client that has just connected gets this long to ask before it may have to make room.
NEW_CLIENT_S = 0.25


def serve(engine: Engine, *, port: int = 0, limits: Limits | None = None) -> Server:
    """Serve `engine` on 127.0.0.1 until `stop()` or the end of the `with` block.

    Port 0 takes a free one. Who asks must give the token, drawn anew each time. Other machines
    cannot ask at all: to serve one, let it open an SSH tunnel to this port.

    ```python
    with serve(OnnxEngine("models/nano")) as server:
        segmenter = Segmenter(RemoteEngine(server.url, server.token))
    ```
    """
    if not isinstance(engine, Engine):
        raise ValueError(
            f"engine is {type(engine).__name__}; wanted an Engine, such as segmenter.engine"
        )
    port = whole("port", port, 0, 65535)
    return Server(HttpServer(Service(engine, limits or Limits()), port))


class Server:
    """A running server, as `serve` starts it."""

    def __init__(self, http: HttpServer) -> None:
        self._http = http
        self._thread = threading.Thread(
            target=http.serve_forever, args=(STOP_POLL_S,), name="sam2lab-server", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens, such as `http://127.0.0.1:40123`."""
        return f"http://{HOST}:{self._http.server_address[1]}"

    @property
    def token(self) -> str:
        """What a client must show; keep it to yourself."""
        return self._http.token

    @property
    def features(self) -> CacheInfo:
        """How the features kept for clients have done, and what they take."""
        return self._http.service.features.info()

    def stop(self) -> None:
        """Hang up on every client, and wait for the work at hand; a second call does nothing."""
        if self._thread.is_alive():
            self._http.stop()
            self._thread.join()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Server of {self._http.service.engine.key} at {self.url}>"


class HttpServer(socketserver.TCPServer):
    """Accepts connections, each with a thread of its own, and never more than agreed.

    Where all are taken a new client waits, and the one that has been silent longest is hung
    up on, who may come back.
    """

    # Elsewhere than on POSIX this would let another process take over the port.
    allow_reuse_address = os.name == "posix"
    request_queue_size = 64

    def __init__(self, service: Service, port: int) -> None:
        self.service = service
        self.token = secrets.token_urlsafe(32)
        self._free = threading.Semaphore(service.limits.connections)
        self._stopping = False
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._idle: dict[socket.socket, float] = {}
        super().__init__((HOST, port), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection, once there is room for it."""
        while not self._free.acquire(timeout=FULL_POLL_S):
            if self._stopping:
                self.shutdown_request(request)
                return
            self._hang_up_on_idle()
        thread = threading.Thread(
            target=self._serve_connection, args=(request, client_address), daemon=True
        )
        with self._lock:
            self._open[request] = thread
        try:
            thread.start()
        except RuntimeError:
            self._forget(request)
            raise

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong with one connection; the others go on."""
        LOG.warning("A connection broke", exc_info=True)

    @contextlib.contextmanager
    def idling(self, connection: socket.socket, is_new: bool) -> Iterator[None]:
        """Meanwhile nothing is asked on `connection`, so it may be hung up on."""
        with self._lock:
            self._idle[connection] = time.monotonic() + (NEW_CLIENT_S if is_new else 0)
        try:
            yield
        finally:
            with self._lock:
                self._idle.pop(connection, None)

    def stop(self) -> None:
        """End `serve_forever`, hang up on everybody, and wait for their threads."""
        self._stopping = True
        self.shutdown()
        self.server_close()
        with self._lock:
            open_now = dict(self._open)
        for connection in open_now:
            _hang_up(connection)
        for thread in open_now.values():
            thread.join()

    def _serve_connection(self, request: socket.socket, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except Exception:
            self.handle_error(request, client_address)
        finally:
            self.shutdown_request(request)
            self._forget(request)

    def _forget(self, request: socket.socket) -> None:
        with self._lock:
            self._open.pop(request, None)
        self._free.release()

    def _hang_up_on_idle(self) -> None:
        now = time.monotonic()
        with self._lock:
            spare = (connection for connection, since in self._idle.items() if since <= now)
            longest = next(spare, None)
            if longest is not None:
                del self._idle[longest]
                _hang_up(longest)


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
