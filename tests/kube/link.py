"""A network between a client and an API server, which can come apart in the two ways in which networks do."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Literal

import yaml


class Link:
    """`async with Link(port) as link`: a way to that port; `apart` and `together` say whether anything passes.

    `cut`: connections break and new ones are refused. `silent`: they stay, and nothing comes through.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._passes = asyncio.Event()
        self._passes.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Link:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.apart("cut")

    async def apart(self, how: Literal["cut", "silent"]) -> None:
        self._passes.clear()
        if how == "silent":
            return
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def together(self) -> None:
        self._passes.set()
        if self._server is None:
            await self._listen()

    def kubeconfig(self, of: Path, at: Path) -> Path:
        """The same cluster by this way."""
        config = yaml.safe_load(of.read_text())
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self.port}"
        at.write_text(yaml.safe_dump(config))
        return at

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._passes.wait()
            back, out = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                with contextlib.suppress(OSError):
                    await asyncio.gather(self._carry(reader, out), self._carry(back, writer))
            finally:
                out.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _carry(self, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            await self._passes.wait()
            to.write(data)
            await to.drain()
        to.write_eof() if to.can_write_eof() else to.close()
