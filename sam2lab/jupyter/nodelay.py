"""Kernel websockets that answer at once.

A Jupyter server leaves Nagle's algorithm on, so that a small message waits for the
acknowledgement of the one before it, and the other side delays that by 40 ms. A click that
should show its mask pays for this on every turn.
"""

from __future__ import annotations

from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection


class NoDelayConnection(ZMQChannelsWebsocketConnection):
    """The server's own kernel connection, with TCP_NODELAY set on its websocket."""

    def connect(self) -> Any:
        """Connect as the server does, after setting the socket to send at once."""
        self.websocket_handler.set_nodelay(True)
        return super().connect()
