"""The life of a writer: it brings the stream to what is desired once, then keeps it so in the background until it is closed."""

from __future__ import annotations

import asyncio
from typing import Self

from shared.bus.ear import Ear
from shared.bus.waiting import end


class Keeping:
    """Base of TableWriter and SnapshotWriter, which say how to `_flush` and to `_keep`."""

    _ear: Ear
    _name: str

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def _flush(self) -> int:
        """Publishes until the stream holds what is desired."""
        raise NotImplementedError

    async def _keep(self) -> None:
        """Repairs without being asked, until it is cancelled."""
        raise NotImplementedError

    async def open(self) -> None:
        """Reads what the stream holds; waits for NATS."""
        async with self._lock:
            await self._flush()
        self._task = asyncio.create_task(self._keep(), name=self._name)

    async def close(self) -> None:
        if self._task is not None:
            await end(self._task)
        await self._ear.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
