"""Writes sound and unsound requests by hand."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any

import numpy as np

from sam2lab.remote import Server, wire

CLIENT_TIMEOUT_S = 30


def connect(server: Server) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=CLIENT_TIMEOUT_S)


def request(
    server: Server,
    body: bytes = b"",
    *,
    line: str = "POST /decode HTTP/1.1",
    token: str | None = None,
    length: str | None = None,
) -> bytes:
    """Write a sound request, except for the parts that are passed."""
    token = server.token if token is None else token
    length = str(len(body)) if length is None else length
    head = (
        f"{line}\r\nHost: here\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
        f"{f'Content-Length: {length}' if length else 'X: y'}\r\n\r\n"
    )
    return head.encode("latin-1") + body


def send(server: Server, data: bytes, *, half_close: bool = False) -> bytes:
    """Send data, perhaps close the sending side, and return everything that comes back."""
    with connect(server) as connection:
        # A server that refuses may hang up while we still send.
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        return received(connection)


def received(connection: socket.socket) -> bytes:
    """Return everything that arrives until the server hangs up."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def answer(reply: bytes) -> tuple[int, dict[str, Any]]:
    """Return status and JSON of the first answer in a reply."""
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1."), reply[:200]
    (length,) = [
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Len")
    ]
    return int(head.split()[1]), json.loads(body[:length])


def click(**changed: Any) -> bytes:
    """The body of a sound request to /decode, about features that the server does not keep."""
    arrays = {
        "handle": np.zeros(32, np.uint8),
        "point_coords": np.full((1, 1, 2), 5, np.float32),
        "point_labels": np.ones((1, 1), np.float32),
    } | changed
    return wire.pack({name: array for name, array in arrays.items() if array is not None})
