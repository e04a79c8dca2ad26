"""Looking at the bus as it goes by: what `headgate tap` shows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple

from nats.aio.msg import Msg

from shared.bus.connection import Bus
from shared.bus.ear import Ear
from shared.bus.errors import Unavailable
from shared.bus.table_reader import read_all
from shared.bus.wire import STREAMS


class Tapped(NamedTuple):
    """`time` in seconds since 1970. `live` is False for a last value that stood there before."""

    subject: str
    headers: Mapping[str, str]
    value: bytes
    time: float
    live: bool


class Tap:
    """`async for message in tap(bus, "ir.>")`; goes on through NATS's absences, what happens in them is not shown."""

    def __init__(self, bus: Bus, subject: str, last_values: bool) -> None:
        self._bus = bus
        self._subject = subject
        self._last_values = last_values
        self._queue: asyncio.Queue[Tapped] = asyncio.Queue()
        self._ear = Ear(bus, subject, self._take)
        self._session = 0

    def __aiter__(self) -> Tap:
        return self

    async def __anext__(self) -> Tapped:
        while True:
            session = await self._bus.session()
            if session.number != self._session:
                try:
                    await self._ear.open(session)
                except Unavailable:
                    await asyncio.sleep(0.1)
                    continue
                self._session = session.number
                if self._last_values:
                    self._last_values = False
                    await self._read()
            arrived, lost = asyncio.create_task(self._queue.get()), asyncio.create_task(session.lost.wait())
            try:
                await asyncio.wait((arrived, lost), return_when=asyncio.FIRST_COMPLETED)
                if arrived.done():
                    return arrived.result()
            finally:
                arrived.cancel()
                lost.cancel()

    async def close(self) -> None:
        await self._ear.close()

    async def _read(self) -> None:
        live, self._queue = self._queue, asyncio.Queue()
        for stream, within in standing(self._subject):
            for subject, entry in (await read_all(self._bus, stream, [within])).items():
                self._queue.put_nowait(Tapped(subject, entry.headers, entry.value, entry.time, False))
        while not live.empty():
            self._queue.put_nowait(live.get_nowait())

    async def _take(self, msg: Msg) -> None:
        # '>' hears, too, how a stream hands a message on to a consumer, and the pieces of modules
        if msg.reply.startswith("$JS.ACK.") or msg.subject.startswith("$O."):
            return
        self._queue.put_nowait(Tapped(msg.subject, msg.headers or {}, msg.data, time.time(), True))


def standing(subject: str) -> list[tuple[str, str]]:
    """(stream, filter) of each of our streams that holds messages on a subject with wildcards."""
    first, _, rest = subject.partition(".")
    found: list[tuple[str, str]] = []
    for stream in STREAMS:
        own = stream.subjects[0].partition(".")[0]
        if own.startswith("$") or first not in (own, "*", ">") or not (rest or first == ">"):
            continue
        found.append((stream.name, stream.subjects[0] if first == ">" else f"{own}.{rest}"))
    return found


def tap(bus: Bus, subject: str, *, last_values: bool = False) -> Tap:
    """Messages on `subject` (NATS wildcards) as they are published; with `last_values` first what the streams hold."""
    return Tap(bus, subject, last_values)
