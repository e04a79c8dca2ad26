"""Contents that are too large for a message (Wasm modules), in a NATS Object Store. A content is stored whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import nats.errors
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from nats.js.object_store import ObjectStore

from shared.bus.connection import Bus
from shared.bus.errors import Unavailable
from shared.bus.wire import MODULES

_BUCKET = MODULES.name.removeprefix("OBJ_")
_PATIENCE = 60.0
"""Seconds for one content: a connection that ends in the middle of one is not told by the library."""


class Blobs:
    """One session's operations: each raises Unavailable when there is none, or when NATS refuses."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def has(self, name: str) -> bool:
        async with _told():
            try:
                await (await self._store()).get_info(name)
            except NotFoundError:
                return False
            return True

    async def get(self, name: str) -> bytes | None:
        async with _told():
            try:
                found = await (await self._store()).get(name)
            except NotFoundError:
                return None
            return found.data or b""

    async def put(self, name: str, content: bytes) -> None:
        async with _told():
            await (await self._store()).put(name, content)

    async def remove_all_but(self, names: frozenset[str]) -> None:
        async with _told():
            store = await self._store()
            try:
                found = await store.list(ignore_deletes=True)
            except NotFoundError:  # there is none at all
                return
            for each in found:
                if each.name is not None and each.name not in names:
                    await store.delete(each.name)

    async def _store(self) -> ObjectStore:
        session = await self._bus.session()
        return await JetStreamContext(session.client).object_store(_BUCKET)


@contextlib.asynccontextmanager
async def _told() -> AsyncIterator[None]:
    """What the library raises becomes Unavailable."""
    try:
        async with asyncio.timeout(_PATIENCE):
            yield
    except (nats.errors.Error, OSError, TimeoutError) as e:
        raise Unavailable(f"the object store: {e or type(e).__name__}") from e
