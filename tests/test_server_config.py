"""The server configuration that the project ships, on a real server."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator

import psutil
import pytest
import websocket


def _ask(jupyter, path: str, method: str = "GET", token: str | None = None):
    headers = {"Authorization": f"token {token}"} if token else {}
    request = urllib.request.Request(jupyter.url + path, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or "null")


@pytest.fixture(scope="module")
def kernel_websocket(jupyter) -> Iterator[websocket.WebSocket]:
    """A websocket to a kernel, after the first answer of the kernel."""
    kernel = _ask(jupyter, "/api/kernels", "POST", jupyter.token)["id"]
    channels = f"ws://127.0.0.1:{jupyter.port}/api/kernels/{kernel}/channels?session_id=test"
    connection = websocket.create_connection(
        channels, timeout=60, header={"Authorization": f"token {jupyter.token}"}
    )
    header = {"msg_id": "1", "msg_type": "kernel_info_request", "username": "", "session": "test"}
    question = {"header": header, "parent_header": {}, "metadata": {}, "content": {}}
    connection.send(json.dumps(question | {"channel": "shell"}))
    while json.loads(connection.recv())["header"]["msg_type"] != "kernel_info_reply":
        pass
    yield connection
    connection.close()
    _ask(jupyter, f"/api/kernels/{kernel}", "DELETE", jupyter.token)


def _sockets_of(pid: int) -> Iterator[socket.socket]:
    """Copies of the TCP sockets that another process holds, the same sockets to the kernel."""
    if not hasattr(os, "pidfd_open"):
        pytest.skip("only Linux lets one look at another process's sockets")
    pidfd_getfd = 438  # the same number on every architecture; Python has no name for it
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            copy = libc.syscall(pidfd_getfd, process, int(fd), 0)
            if copy < 0:
                pytest.skip(
                    f"may not look at the server's sockets: {os.strerror(ctypes.get_errno())}"
                )
            try:
                found = socket.socket(fileno=copy)
            except OSError:  # a file or a pipe
                os.close(copy)
                continue
            with found:
                if found.family == socket.AF_INET and found.type == socket.SOCK_STREAM:
                    yield found
    finally:
        os.close(process)


def _peer(one: socket.socket) -> tuple | None:
    try:
        return one.getpeername()
    except OSError:  # a listening socket
        return None


def test_kernel_websockets_have_tcp_nodelay(jupyter, kernel_websocket) -> None:
    ours = kernel_websocket.sock.getsockname()
    nodelay = [
        theirs.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        for theirs in _sockets_of(jupyter.pid)
        if _peer(theirs) == ours
    ]
    assert nodelay == [True]


def test_it_listens_on_this_machine_only(jupyter) -> None:
    listening = {
        connection.laddr.ip
        for connection in psutil.Process(jupyter.pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == jupyter.port
    }
    assert listening == {"127.0.0.1"}


@pytest.mark.parametrize("token", [None, "wrong"])
def test_it_refuses_requests_without_its_token(jupyter, token) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403"):
        _ask(jupyter, "/api/contents", token=token)


def test_it_makes_its_own_token(jupyter) -> None:
    assert len(jupyter.token) >= 32
    assert _ask(jupyter, "/api/contents", token=jupyter.token)["type"] == "directory"


def test_a_kernel_websocket_needs_the_token_too(jupyter) -> None:
    channels = f"ws://127.0.0.1:{jupyter.port}/api/kernels/{uuid.uuid4()}/channels"
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        websocket.create_connection(channels, timeout=60)
