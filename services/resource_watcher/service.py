"""resource_watcher: the provider's objects onto `resources.>`, statuses back. One replica is active, by lease; others stand by."""

from __future__ import annotations

import asyncio

from services.resource_watcher import provider as door
from services.resource_watcher.facts import oidc, wasm
from services.resource_watcher.facts.answering import Answering, Source
from services.resource_watcher.provider import NoSuchProvider
from services.resource_watcher.publishing import Publishing
from services.resource_watcher.status_writing import write_statuses
from shared.bus.blobs import Blobs
from shared.bus.connection import Bus
from shared.core.sealing import Sealer
from shared.runtime import start, terms
from shared.runtime.ops import Ops
from shared.runtime.settings import Settings
from shared.runtime.waiting import all_or_stopped


def answering(bus: Bus, epoch: int, sealer: Sealer) -> Answering:
    """Who answers which questions to the world outside."""
    modules = wasm.Modules(Blobs(bus), sealer.open)
    sources: dict[str, Source] = {oidc.KIND: oidc.discover, wasm.KIND: modules.answer}
    return Answering(bus, epoch, sources, {wasm.KIND: modules.keep})


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

    async def term(bus: Bus, epoch: int) -> None:
        provider = door.load(name, settings)
        publishing = Publishing(bus, epoch, name, sealer.seal, ops, settings.config.kinds)
        try:
            await publishing.open()
            provider.expect(publishing.wanted)
            ops.details = publishing.status
            await all_or_stopped(
                stop,
                provider.run(publishing.sink, stop),
                publishing.follow_wants(provider),
                write_statuses(bus, provider),
                answering(bus, epoch, sealer).run(),
            )
        finally:
            await publishing.close()

    await terms.serve(settings, ops, stop, settings.service, term)
