"""resource_watcher: the provider's objects onto `resources.>`, statuses back. One replica is active, by lease; others stand by."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from services.resource_watcher import provider as door
from services.resource_watcher.provider import NoSuchProvider, Provider
from services.resource_watcher.publishing import Publishing
from services.resource_watcher.status_writing import write_statuses
from shared.bus.connection import Bus
from shared.bus.errors import NoLongerWriter
from shared.bus.lease import Lease
from shared.core.sealing import Sealer
from shared.runtime.ops import Ops
from shared.runtime.settings import Settings
from shared.runtime.waiting import Stopped, all_or_stopped, or_stopped

log = structlog.get_logger("resource-watcher")


def provider_name(settings: Settings) -> str:
    config = settings.config.provider
    return config.custom.resource.type if config.type == "Custom" and config.custom else "Kubernetes"


async def run(settings: Settings, ops: Ops, stop: asyncio.Event) -> None:
    name = provider_name(settings)
    try:
        door.load(name, settings)  # a provider that is not installed is told at the start, not when the lease comes
    except NoSuchProvider as e:
        raise start.CannotStart(f"provider: {e}") from e
    sealer = start.sealer(settings)
    ops.wait("waiting for NATS")
    try:
        bus = await or_stopped(stop, Bus.connect(settings.bus, service=settings.service))
    except Stopped:
        return
    lease = Lease(bus, settings.service, settings.holder)
    try:
        while not stop.is_set():
            ops.stand_by("standing by: another replica is active")
            await or_stopped(stop, lease.acquire())
            ops.wait("reading the first list")
            log.info("active", epoch=lease.epoch)
            await _term(settings, ops, stop, bus, lease, door.load(name, settings), name, sealer)
    except Stopped:
        pass
    finally:
        await lease.release()
        await bus.close()


async def _term(
    settings: Settings, ops: Ops, stop: asyncio.Event, bus: Bus, lease: Lease, provider: Provider, name: str, sealer: Sealer
) -> None:
    publishing = Publishing(bus, lease.epoch, name, sealer.seal, ops)
    try:
        await or_stopped(stop, publishing.open())
        ops.details = publishing.status
        await all_or_stopped(
            stop,
            provider.run(publishing.sink, stop),
            publishing.follow_wants(),
            write_statuses(bus, provider),
            lease.lost.wait(),
        )
    except NoLongerWriter as e:
        log.warning("superseded", reason=str(e))
    finally:
        await publishing.close()
