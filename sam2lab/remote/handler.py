"""HTTP/1.1 for one connection: who may ask, how much and how slowly, and a reason for every no."""

from __future__ import annotations

import contextlib
import hmac
import io
import json
import logging
import re
import socket
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from sam2lab.remote import wire
from sam2lab.remote.requests import Refused
from sam2lab.remote.wire import WireError

if TYPE_CHECKING:
    from sam2lab.remote.server import HttpServer

LOG = logging.getLogger("sam2lab.remote")

GREETING = "/info"
JSON_TYPE = "application/json"

# How long a refused client gets to stop sending and read why, before the connection is cut.
LINGER_S = 1.0
CHUNK_BYTES = 1 << 20


class DeadlineSocket(io.RawIOBase):
    """Reads from a socket until a moment in time; a byte now and then does not put it off."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._deadline = 0.0

    def allow(self, seconds: float) -> None:
        """Set the deadline `seconds` from now."""
        self._deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long to arrive")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class Handler(BaseHTTPRequestHandler):
    """Serves one connection until the client closes it, is idle, slow, or makes no sense."""

    server: HttpServer
    protocol_version = "HTTP/1.1"
    server_version = "sam2lab"
    sys_version = ""
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._input = DeadlineSocket(self.connection)
        self.rfile = self._reader = io.BufferedReader(self._input, 1 << 16)
        self._cut_short = False
        self._is_new = True

    def handle_one_request(self) -> None:
        limits = self.server.service.limits
        self._input.allow(limits.idle_s)
        with self.server.idling(self.connection, self._is_new):
            try:
                arrived = self._reader.peek(1)
            except OSError:
                arrived = b""
        if not arrived:
            self.close_connection = True
            return
        self._is_new = False
        self._input.allow(limits.request_s)
        try:
            super().handle_one_request()
        except OSError as error:
            self.close_connection = True
            LOG.debug("A client is gone: %s", error)

    def finish(self) -> None:
        if self._cut_short:
            self._linger()
        with contextlib.suppress(OSError):
            super().finish()

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def handle_expect_100(self) -> bool:
        """Say nothing yet: `_read_body` says "go on", once it is known that the body is wanted."""
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server finds wrong by itself, in our form; where it ends is then unknown."""
        # It answers 501 to a method that this class has no function for.
        if code == HTTPStatus.NOT_IMPLEMENTED:
            code, message = HTTPStatus.METHOD_NOT_ALLOWED, "wanted GET or POST"
        self.close_connection = True
        self._refuse(Refused(code, message or HTTPStatus(code).phrase))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing that a client writes goes into a log unseen."""

    def _serve(self, method: str) -> None:
        try:
            self._check_token()
            self._check_route(method)
            if method == "GET":
                self._send(HTTPStatus.OK, JSON_TYPE, self.server.service.greeting())
                return
            body = self._read_body()
            started = time.perf_counter()
            reply = self._reply(body)
            busy_ms = 1000 * (time.perf_counter() - started)
        except Refused as refusal:
            self._refuse(refusal)
        else:
            self._send(HTTPStatus.OK, wire.ARRAYS_TYPE, reply, f"work;dur={busy_ms:.3f}")

    def _reply(self, body: bytes) -> bytes:
        try:
            return wire.pack(self.server.service.routes[self.path](body))
        except Refused:
            raise
        except WireError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
        except Exception as error:
            # The client gets no details: they are about this process, not about its request.
            LOG.exception("The engine failed on a request to %s", self.path)
            reason = "the engine failed; the log of the server's process says how"
            raise Refused(HTTPStatus.INTERNAL_SERVER_ERROR, reason) from error

    def _check_token(self) -> None:
        scheme, _, token = str(self.headers.get("Authorization", "")).partition(" ")
        same = hmac.compare_digest(token.strip().encode(), self.server.token.encode())
        if scheme.lower() != "bearer" or not same:
            raise self._unread(401, "wanted the header Authorization: Bearer with server.token")

    def _check_route(self, method: str) -> None:
        if self.path != GREETING and self.path not in self.server.service.routes:
            routes = ", ".join((GREETING, *self.server.service.routes))
            raise self._unread(404, f"there is nothing here; wanted one of {routes}")
        wanted = "GET" if self.path == GREETING else "POST"
        if method != wanted:
            raise self._unread(405, f"wanted {wanted} for {self.path}")
        said = self._claims("Content-Length") + self._claims("Transfer-Encoding")
        if method == "GET" and said not in ([], ["0"]):
            raise self._unread(400, "a GET has no body here")

    def _read_body(self) -> bytes:
        media_type = str(self.headers.get("Content-Type", "")).partition(";")[0].strip().lower()
        if media_type != wire.ARRAYS_TYPE:
            raise self._unread(415, f"wanted a body of type {wire.ARRAYS_TYPE}")
        claims = self._claims("Content-Length")
        if self._claims("Transfer-Encoding") or not claims:
            raise self._unread(411, "wanted a body whose Content-Length is given")
        if len(claims) > 1 or not re.fullmatch("[0-9]{1,19}", claims[0]):
            raise self._unread(400, "Content-Length is no number of bytes")
        length, most = int(claims[0]), self.server.service.limits.body_bytes
        if length > most:
            raise self._unread(413, f"the body has {length} bytes, this server takes {most}")
        if str(self.headers.get("Expect", "")).lower() == "100-continue":
            self.send_response_only(HTTPStatus.CONTINUE)
            self.end_headers()
        # Memory is taken as bytes arrive, not as they are announced.
        chunks: list[bytes] = []
        left = length
        try:
            while left and (chunk := self.rfile.read(min(left, CHUNK_BYTES))):
                chunks.append(chunk)
                left -= len(chunk)
        except TimeoutError as error:
            raise self._unread(408, "the body took too long to arrive") from error
        if left:
            raise self._unread(400, f"the body ended after {length - left} of {length} bytes")
        return b"".join(chunks)

    def _claims(self, header: str) -> list[str]:
        return [str(value).strip() for value in self.headers.get_all(header, [])]

    def _unread(self, status: int, reason: str) -> Refused:
        """A refusal before the body was read, after which nothing on this connection is known."""
        self.close_connection = True
        return Refused(status, reason)

    def _refuse(self, refusal: Refused) -> None:
        # Not the reason: it may quote the client, who may have put the token anywhere.
        LOG.debug("Refused with %d", refusal.status)
        self._send(refusal.status, JSON_TYPE, json.dumps({"error": refusal.reason}).encode())

    def _send(self, status: int, media_type: str, body: bytes, timing: str = "") -> None:
        # Without a version (as HTTP/0.9 had none) http.server would leave out status and headers.
        if self.request_version not in ("HTTP/1.0", "HTTP/1.1"):
            self.request_version, self.close_connection = "HTTP/1.0", True
        self._cut_short |= self.close_connection
        self.connection.settimeout(self.server.service.limits.request_s)
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        if timing:
            self.send_header("Server-Timing", timing)
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET" if self.path == GREETING else "POST")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _linger(self) -> None:
        """Take what is still being sent: closing at once would wipe out the answer on its way."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self._input.allow(LINGER_S)
            while self._input.read(CHUNK_BYTES):
                pass
