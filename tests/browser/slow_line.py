"""A line to a server that takes its time: a TCP proxy that delays all bytes both ways."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any


class SlowLine:
    """Forwards a free port of this machine to `port`; `delay_s` each way may change meanwhile.

    While `is_held`, bytes from the server wait.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.delay_s = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._open = self._do(_opened_event())
        self._server = self._do(asyncio.start_server(self._connected, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def hold(self) -> None:
        """Keep back what the server sends from now on."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def release(self) -> None:
        """Let it through."""
        self._loop.call_soon_threadsafe(self._open.set)

    def close(self) -> None:
        """Cut all connections."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to)
        # asyncio complains about connections that are cancelled.
        with suppress(asyncio.CancelledError):
            await asyncio.gather(
                self._carry(reader, there_writer), self._carry(there_reader, writer, self._open)
            )

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        gate: asyncio.Event | None = None,
    ) -> None:
        """Pass on bytes in order, each as long after it came as the line is slow."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def receive() -> None:
            data = b"-"
            while data:
                with suppress(ConnectionError):
                    data = await reader.read(2**16)
                queue.put_nowait((self._loop.time() + self.delay_s, data))

        receiving = asyncio.ensure_future(receive())
        with suppress(ConnectionError):
            while True:
                due, data = await queue.get()
                await asyncio.sleep(due - self._loop.time())
                if gate is not None:
                    await gate.wait()
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        receiving.cancel()
        writer.close()


async def _opened_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event
