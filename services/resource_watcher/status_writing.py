"""Statuses from the bus back to the provider: merged, stamped, and written only when they differ."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from prometheus_client import Counter, Histogram

from services.resource_watcher.provider import Provider
from services.resource_watcher.stages.statuses import merge, stamp
from shared.bus.connection import Bus
from shared.bus.table import TableReader, read_all
from shared.bus.waiting import together
from shared.core import names
from shared.core.refs import ObjectRef

log = structlog.get_logger("statuses")

UPDATES = Counter("status_update_total", "Statuses written to the provider.", ["kind", "status"])
UPDATE_SECONDS = Histogram("status_update_duration_seconds", "How long writing a status took.", ["kind"])

MANY, DUTY = 50, 1
"""After so many statuses in a row, a writer pauses for so many times what they took: a first start has better use for the processor."""
AT_ONCE = 8
_TOKENS = 6  # status.<group>.<kind>.<ns>.<name>.<gateway>


class _Part(msgspec.Struct):
    """One Gateway's part of an object's status, as it stands on the bus."""

    status: dict[str, Any] = {}


async def write_statuses(bus: Bus, provider: Provider) -> None:
    """Follows `status.>` until cancelled."""
    reader = TableReader(bus, ["status.>"])
    # what was deleted while nobody wrote statuses may still stand at the provider
    reader.assume([s for s, e in (await read_all(bus, "STATUS", ["status.>"])).items() if e.deleted])
    statuses = Statuses(provider)
    try:
        await together(statuses.follow(reader), *(statuses.write() for _ in range(AT_ONCE)))
    finally:
        await reader.close()


class Statuses:
    """Objects whose status is to be written. Writers take them in turn; of an object only the latest counts, and one writer is at it."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._parts: dict[ObjectRef, dict[str, dict[str, Any]]] = {}
        self._written: dict[ObjectRef, dict[str, Any] | None] = {}
        self._due: dict[ObjectRef, None] = {}
        self._busy: set[ObjectRef] = set()
        self._wake = asyncio.Event()

    async def follow(self, reader: TableReader) -> None:
        async for batch in reader:
            for subject, entry in batch.changes.items():
                self.take(subject, entry.value if entry is not None else None)

    def take(self, subject: str, value: bytes | None) -> None:
        """A part from the bus; None for one that is gone."""
        tokens = subject.split(".")
        if len(tokens) != _TOKENS:
            return
        ref = ObjectRef(*(names.unescape(t) for t in tokens[1:5]))
        if value is None:
            if own := self._parts.get(ref):
                own.pop(tokens[5], None)
                if not own:
                    del self._parts[ref]
        else:
            try:
                part = msgspec.json.decode(value, type=_Part)
            except msgspec.DecodeError as e:  # another's, or of another release: as good as none
                log.warning("unreadable_status", subject=subject, error=str(e))
                return
            self._parts.setdefault(ref, {})[tokens[5]] = part.status
        self._due[ref] = None
        self._wake.set()

    @property
    def busy(self) -> bool:
        """Whether something is yet to be written."""
        return bool(self._due or self._busy)

    async def write(self) -> None:
        """One of the writers, until cancelled."""
        while True:
            took = 0.0
            for _ in range(MANY):
                ref = await self._next()
                begin = time.monotonic()
                try:
                    await self._write(ref, self._parts.get(ref) or {})
                finally:
                    self._busy.discard(ref)
                    self._wake.set()
                took += time.monotonic() - begin
            await asyncio.sleep(DUTY * took)

    async def _next(self) -> ObjectRef:
        while True:
            for ref in self._due:
                if ref not in self._busy:
                    del self._due[ref]
                    self._busy.add(ref)
                    return ref
            self._wake.clear()
            await self._wake.wait()

    async def _write(self, ref: ObjectRef, parts: dict[str, dict[str, Any]]) -> None:
        before = self._written[ref] if ref in self._written else await self._provider.read_status(ref)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        status = stamp(merge(parts), before, now) if parts else None
        if status != before:
            with UPDATE_SECONDS.labels(ref.kind).time():
                await self._provider.write_status(ref, status)
            UPDATES.labels(ref.kind, "success").inc()
            log.debug("status_written", object=str(ref))
        elif status is not None and ref not in self._written:
            self._provider.hold_status(ref, status)
        if status is None:
            self._written.pop(ref, None)
        else:
            self._written[ref] = status
