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
from services.resource_watcher.stages import statuses
from shared.bus.connection import Bus
from shared.bus.table import TableReader, read_all
from shared.core import names
from shared.core.refs import ObjectRef

log = structlog.get_logger("statuses")

UPDATES = Counter("status_update_total", "Statuses written to the provider.", ["kind", "status"])
UPDATE_SECONDS = Histogram("status_update_duration_seconds", "How long writing a status took.", ["kind"])

MANY, DUTY = 50, 1
"""After so many statuses in a row, pause for so many times what they took: a first start has better use for the processor."""
_TOKENS = 6  # status.<group>.<kind>.<ns>.<name>.<gateway>


class _Part(msgspec.Struct):
    """One Gateway's part of an object's status, as it stands on the bus."""

    status: dict[str, Any] = {}


async def write_statuses(bus: Bus, provider: Provider) -> None:
    """Follows `status.>` until cancelled."""
    parts: dict[ObjectRef, dict[str, dict[str, Any]]] = {}
    written: dict[ObjectRef, dict[str, Any] | None] = {}
    reader = TableReader(bus, ["status.>"])
    # what was deleted while nobody wrote statuses may still stand at the provider
    reader.assume([s for s, e in (await read_all(bus, "STATUS", ["status.>"])).items() if e.deleted])
    try:
        async for batch in reader:
            touched: dict[ObjectRef, None] = {}
            for subject, entry in batch.changes.items():
                tokens = subject.split(".")
                if len(tokens) != _TOKENS:
                    continue
                ref = ObjectRef(*(names.unescape(t) for t in tokens[1:5]))
                touched[ref] = None
                if entry is None:
                    if own := parts.get(ref):
                        own.pop(tokens[5], None)
                        if not own:
                            del parts[ref]
                else:
                    try:
                        part = msgspec.json.decode(entry.value, type=_Part)
                    except msgspec.DecodeError as e:  # another's, or of another release: as good as none
                        log.warning("unreadable_status", subject=subject, error=str(e))
                        continue
                    parts.setdefault(ref, {})[tokens[5]] = part.status
            begin = time.monotonic()
            for n, ref in enumerate(touched, 1):
                await _write(provider, ref, parts.get(ref) or {}, written)
                if n % MANY == 0:
                    await asyncio.sleep(DUTY * (time.monotonic() - begin))
                    begin = time.monotonic()
    finally:
        await reader.close()


async def _write(
    provider: Provider, ref: ObjectRef, parts: dict[str, dict[str, Any]], written: dict[ObjectRef, dict[str, Any] | None]
) -> None:
    before = written[ref] if ref in written else await provider.read_status(ref)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    status = statuses.stamp(statuses.merge(parts), before, now) if parts else None
    if status != before:
        with UPDATE_SECONDS.labels(ref.kind).time():
            await provider.write_status(ref, status)
        UPDATES.labels(ref.kind, "success").inc()
        log.debug("status_written", object=str(ref))
    if status is None:
        written.pop(ref, None)
    else:
        written[ref] = status
