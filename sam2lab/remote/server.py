"""`serve(engine)`: a model behind HTTP, for this machine only."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import threading
import time
from collections.abc import Collection
from concurrent.futures import Executor, ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, cast

from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler, stream_request_body

from sam2lab.remote import wire
from sam2lab.remote.service import Limits, Service
from sam2lab.remote.wire import HOST, FeaturesGone, RefusedError
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.engines.protocol import Engine
from sam2lab.runtime.lru import CacheInfo

LOG = logging.getLogger("sam2lab.remote")


def serve(engine: Engine, *, port: int = 0, limits: Limits | None = None) -> Server:
    """Serve `engine` on 127.0.0.1 until `stop()` or the end of the `with` block.

    Port 0 takes a free one. A client must show the token, which is drawn anew each time. Other
    machines cannot connect: let them open an SSH tunnel to this port (see `sam2lab.remote`).

    ```python
    with serve(OnnxEngine("models/nano")) as server:
        segmenter = Segmenter(RemoteEngine(server.url, server.token))
    ```
    """
    if not isinstance(engine, Engine):
        raise ValueError(
            f"engine is {type(engine).__name__}; wanted an Engine, such as segmenter.engine"
        )
    return Server(Service(engine, limits or Limits()), whole("port", port, 0, 65535))


class Server:
    """A running server, as `serve` starts it, with a thread and an event loop of its own."""

    def __init__(self, service: Service, port: int) -> None:
        self.token = secrets.token_urlsafe(32)
        self._service = service
        (self._socket,) = bind_sockets(port, HOST)
        # Bound here, so that it outlives the socket.
        self._port: int = self._socket.getsockname()[1]
        self._ready, self._stopping = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run()), name="sam2lab-server", daemon=True
        )
        self._thread.start()
        self._ready.wait()

    @property
    def url(self) -> str:
        """Where it listens, such as `http://127.0.0.1:40123`."""
        return f"http://{HOST}:{self._port}"

    @property
    def features(self) -> CacheInfo:
        """Hits, misses and bytes of the features that are kept for clients."""
        return self._service.features.info()

    def stop(self) -> None:
        """Hang up on every client, and wait for the work at hand; a second call does nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Server of {self._service.engine.key} at {self.url}>"

    async def _run(self) -> None:
        self._loop, limits = asyncio.get_running_loop(), self._service.limits
        with ThreadPoolExecutor(1) as photos, ThreadPoolExecutor(1) as prompts:
            workers = dict.fromkeys(self._service.photo_routes, photos)
            workers |= dict.fromkeys(self._service.prompt_routes, prompts)
            given = {"service": self._service, "token": self.token, "workers": workers}
            # Paths may hold what no log should, so requests are not logged.
            app = Application([("(.*)", Handler, given)], log_function=lambda handler: None)
            http = HTTPServer(
                app,
                max_body_size=limits.body_bytes,
                body_timeout=limits.request_s,
                idle_connection_timeout=limits.idle_s,
            )
            http.add_socket(self._socket)
            self._ready.set()
            await self._stopping.wait()
            http.stop()
            await http.close_all_connections()
            at_hand = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*at_hand, return_exceptions=True)


@stream_request_body
class Handler(RequestHandler):
    """One request: checks its token before anything is kept of it, and answers in a worker."""

    def initialize(self, service: Service, token: str, workers: dict[str, Executor]) -> None:
        """Store what all requests share; tornado calls this in place of a constructor."""
        self._service = service
        self._token = token
        self._workers = workers

    def set_default_headers(self) -> None:
        """Say nothing about versions."""
        self.set_header("Server", "sam2lab")

    def prepare(self) -> None:
        """Check the token before the body arrives."""
        shown = self.request.headers.get("Authorization", "").encode()
        self._known = hmac.compare_digest(shown, f"Bearer {self._token}".encode())
        self._body: list[bytes] = []

    def data_received(self, chunk: bytes) -> None:
        """Keep a part of the body if the token is right; else drop it, and refuse at its end."""
        if self._known:
            self._body.append(chunk)

    async def get(self, route: str) -> None:
        """Greet a client."""
        self._check(route, ["/info"])
        await self._send(self._service.greeting())

    async def post(self, route: str) -> None:
        """Answer a question in the worker that its route has."""
        self._check(route, self._workers)
        answer = (self._service.photo_routes | self._service.prompt_routes)[route]
        body, started = b"".join(self._body), time.perf_counter()
        reply = await asyncio.get_running_loop().run_in_executor(
            self._workers[route], lambda: wire.pack(answer(body))
        )
        self.set_header("Server-Timing", f"work;dur={1000 * (time.perf_counter() - started):.3f}")
        await self._send(reply)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Tell the client what is wrong with its request, but nothing about this process."""
        error = kwargs["exc_info"][1]
        reason = "the engine failed; the log of the server's process says how"
        if isinstance(error, RefusedError):
            self.set_status(410 if isinstance(error, FeaturesGone) else 400)
            reason = str(error)
        elif isinstance(error, HTTPError):
            reason = error.reason or HTTPStatus(status_code).phrase
        self.finish({"error": reason})

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log failures of the engine; a client's mistakes are reported to the client only."""
        if not isinstance(value, RefusedError | HTTPError):
            LOG.error("The engine failed on a request", exc_info=(typ, value, tb))

    def _check(self, route: str, routes: Collection[str]) -> None:
        if not self._known:
            raise HTTPError(401, reason="wanted the header Authorization: Bearer server.token")
        if route not in routes:
            raise HTTPError(404, reason=f"wanted one of {', '.join(routes)}")

    async def _send(self, reply: bytes) -> None:
        """Send an answer, and hang up on a client that does not take it."""
        try:
            await asyncio.wait_for(self.finish(reply), self._service.limits.request_s)
        except StreamClosedError:
            LOG.debug("A client left before it had its answer")
        except TimeoutError:
            cast(HTTP1Connection, self.request.connection).close()
