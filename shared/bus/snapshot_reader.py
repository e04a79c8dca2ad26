"""Reads every Gateway's versions from the stream, whole ones only; what to show is decided in staging.py."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self

import structlog

from shared.bus import direct
from shared.bus.connection import Bus
from shared.bus.errors import ApiError, Unavailable
from shared.bus.feed import Feed
from shared.bus.staging import Stages, Version, younger
from shared.bus.wire import IR, Message

log = structlog.get_logger("bus")

STUCK = 5.0
"""Seconds that a reader waits for the repair of a version before it reads everything again."""


class SnapshotReader:
    """`async for version in SnapshotReader(bus)`: each Gateway's last whole version first, then every change as it is committed."""

    def __init__(self, bus: Bus, filter: str = "ir.xds.*.*.>") -> None:
        self._bus = bus
        self._feed = Feed(bus, IR.name, [filter])
        self._stages = Stages()
        self._initial: list[Message] | None = None
        self._ready: deque[Version] = deque()
        self.caught_up = False
        """Whether every version that stood in the stream at the start has been handed out (or waits for its repair)."""

    @property
    def waiting(self) -> bool:
        """Whether a version is known of that has not been handed out."""
        return bool(self._ready) or self._stages.waits

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Version:
        while not self._ready:
            self._ready.extend(await self._more())
        return self._ready.popleft()

    async def close(self) -> None:
        await self._feed.close()

    async def _more(self) -> list[Version]:
        try:
            async with asyncio.timeout(STUCK if self._stages.waits else None):
                part = await self._feed.next()
        except TimeoutError:
            log.warning("bus.version_incomplete", note="no repair came; reading the stream again")
            self._feed.restart()
            return []
        if part.reset:
            self._initial = []
        if self._initial is None:
            return self._stages.take(part.messages)
        self._initial += part.messages
        if not part.caught_up:
            return []
        messages, self._initial = self._initial, None
        try:
            older = [m for seq, subjects in younger(messages).values() for m in await direct.last_of(self._bus, IR.name, subjects, seq)]
        except (Unavailable, ApiError) as e:
            log.warning("bus.retry", reader="snapshots", error=str(e))
            self._feed.restart()
            return []
        self._stages.restart()
        self.caught_up = True
        return self._stages.take(sorted((*older, *messages), key=lambda m: m.entry.seq))
