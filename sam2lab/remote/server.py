"""`serve(engine)`: a model behind HTTP, for this machine only."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler, stream_request_body

from sam2lab.remote.service import QUICK, SLOW, Forgotten, Service
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.engines.protocol import Engine

HOST = "127.0.0.1"
MIB = 2**20
# A request must arrive within this time, and a connection is closed when unused for longer.
REQUEST_S, IDLE_S = 20.0, 60.0


def serve(
    engine: Engine,
    *,
    port: int = 0,
    kept_bytes: int = 1024 * MIB,
    body_bytes: int = 64 * MIB,
    answer_bytes: int = 512 * MIB,
) -> Server:
    """Serve `engine` on 127.0.0.1 until `stop()` or the end of the `with` block.

    Port 0 takes a free one. A client must show the token, which is drawn anew each time. Other
    machines cannot connect: let them open an SSH tunnel to this port (see `sam2lab.remote`).

    Features of `kept_bytes` are kept for all clients together; what was used longest ago leaves
    first, and is made again when it is asked for. A request has at most `body_bytes`, an answer at
    most `answer_bytes` before it is packed.

    ```python
    with serve(OnnxEngine("models/nano")) as server:
        segmenter = Segmenter(RemoteEngine(server.url, server.token))
    ```
    """
    if not isinstance(engine, Engine):
        raise ValueError(
            f"engine is {type(engine).__name__}; wanted an Engine, such as segmenter.engine"
        )
    limits = {"kept_bytes": kept_bytes, "answer_bytes": answer_bytes, "body_bytes": body_bytes}
    kept, answer, body = (whole(name, value, 1) for name, value in limits.items())
    return Server(Service(engine, kept, answer), whole("port", port, 0, 65535), body)


class Server:
    """A running server, as `serve` starts it, at `url`; a client must show its `token`."""

    def __init__(self, service: Service, port: int, body_bytes: int) -> None:
        self.token = secrets.token_urlsafe(32)
        self._service = service
        self._body_bytes = body_bytes
        (self._socket,) = bind_sockets(port, HOST)
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}"
        self._loop, self._stopping = asyncio.new_event_loop(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="sam2lab-server", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Hang up on every client, and wait for the work at hand; a second call does nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _run(self) -> None:
        # An engine uses every core, so that more workers would only take more memory.
        with (
            asyncio.Runner(loop_factory=lambda: self._loop) as runner,
            ThreadPoolExecutor(1) as slow,
            ThreadPoolExecutor(1) as quick,
        ):
            runner.run(self._serve(dict.fromkeys(SLOW, slow) | dict.fromkeys(QUICK, quick)))

    async def _serve(self, workers: dict[str, ThreadPoolExecutor]) -> None:
        application = Application(
            [(f"/(info|{'|'.join(workers)})", Handler)],
            # Requests are not logged: a refused one would show in the notebook of the server.
            log_function=lambda handler: None,
            bearer=f"Bearer {self.token}".encode(),
            greeting=self._service.greeting() | {"body_bytes": self._body_bytes},
            service=self._service,
            workers=workers,
        )
        http = HTTPServer(
            application,
            max_body_size=self._body_bytes,
            body_timeout=REQUEST_S,
            idle_connection_timeout=IDLE_S,
        )
        http.add_socket(self._socket)
        await self._stopping.wait()
        http.stop()
        await http.close_all_connections()


@stream_request_body
class Handler(RequestHandler):
    """Checks a request's token before anything is kept of it, and lets a worker answer."""

    def prepare(self) -> None:
        """Look at the token, before the body arrives."""
        shown = self.request.headers.get("Authorization", "").encode()
        self._may_ask = hmac.compare_digest(shown, self.settings["bearer"])
        self._body: list[bytes] = []

    def data_received(self, chunk: bytes) -> None:
        """Keep a part of the body; without the token, drop it."""
        if self._may_ask:
            self._body.append(chunk)

    def get(self, verb: str) -> None:
        """Greet a client."""
        if self._may_ask:
            self.finish(self.settings["greeting"])
        else:
            self._refuse(401, "wanted the header Authorization: Bearer server.token")

    async def post(self, verb: str) -> None:
        """Answer a request in the worker of its kind."""
        workers, service = self.settings["workers"], self.settings["service"]
        if verb not in workers or not self._may_ask:
            return self.get(verb)
        started = perf_counter()
        try:
            reply = await asyncio.get_running_loop().run_in_executor(
                workers[verb], service.answer, verb, b"".join(self._body)
            )
        except ValueError as error:
            self._refuse(400, str(error))
        except Forgotten as error:
            self._refuse(410, str(error))
        else:
            self.set_header("Server-Timing", f"work;dur={1000 * (perf_counter() - started):.3f}")
            self.finish(reply)

    def _refuse(self, status: int, reason: str) -> None:
        self.set_status(status)
        self.finish(reason)
