"""A replica's turn to ask about one Gateway: the lease, and the writer of what is answered while it lasts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet

from services.xds_server.hooks.kept import PREFIX
from shared.bus.connection import Bus
from shared.bus.errors import NoLongerWriter
from shared.bus.lease import Lease
from shared.bus.table import TableWriter
from shared.bus.wire import Entry
from shared.core import names
from shared.core.refs import GatewayRef

LEASES = "extensions"
"""First part of the names of leases; a Gateway's namespace and name follow."""


Lacking = Callable[[AbstractSet[str]], Mapping[str, bytes]]
"""Subjects that the stream holds -> what belongs there besides."""


class _Writer(TableWriter):
    """Writes what the stream has lost, whoever wrote it: replicas that come later would wait for it for ever."""

    def __init__(self, bus: Bus, prefix: str, epoch: int, lacking: Lacking) -> None:
        super().__init__(bus, prefix, epoch)
        self._lacking = lacking

    def _loaded(self, found: Mapping[str, Entry]) -> None:
        for subject, value in self._lacking({s for s, entry in found.items() if not entry.deleted}).items():
            self._desired.setdefault(subject, value)
            self._headers.setdefault(subject, {})


class Turn:
    """`ours` between the callbacks `begin` and `end`, which come as often as the lease is taken and lost."""

    def __init__(
        self, bus: Bus, ref: GatewayRef, holder: str, begin: Callable[[], None], end: Callable[[], None], lacking: Lacking
    ) -> None:
        self._bus = bus
        self._ref = ref
        self._holder = holder
        self._begin, self._end, self._lacking = begin, end, lacking
        self._values: dict[str, bytes | None] = {}
        self._wake = asyncio.Event()
        self._closing = False
        self.ours = False

    def keep(self, subject: str, value: bytes | None) -> None:
        """Writes it, soon; None takes away what stands there."""
        self._values[subject] = value
        self._wake.set()

    def close(self, subjects: Iterable[str]) -> None:
        """The Gateway is gone: takes away what is kept of it, and ends `run`."""
        self._values = dict.fromkeys(subjects)
        self._lacking = lambda there: {}
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled or closed."""
        while not self._closing:
            lease = Lease(self._bus, f"{LEASES}.{names.join(*self._ref)}", self._holder)
            try:
                await lease.acquire()
                async with _Writer(self._bus, self._ref.subject(PREFIX), lease.epoch, self._lacking) as writer:
                    self.ours = True
                    self._begin()
                    await self._write(writer, lease)
            except NoLongerWriter:
                continue
            finally:
                self.ours = False
                self._end()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.shield(lease.release())

    async def _write(self, writer: TableWriter, lease: Lease) -> None:
        lost = asyncio.create_task(lease.lost.wait())
        try:
            while not lost.done():
                if not self._values:
                    if self._closing:
                        return
                    woken = asyncio.create_task(self._wake.wait())
                    await asyncio.wait((lost, woken), return_when=asyncio.FIRST_COMPLETED)
                    woken.cancel()
                    self._wake.clear()
                values, self._values = self._values, {}
                if values:
                    await writer.put(values)
        finally:
            lost.cancel()
