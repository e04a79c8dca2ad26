"""infra_manager as a process: `ir.infra.>` in, fleets of proxies through a provider, `status.infra.>` out."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import structlog
from prometheus_client import Gauge

from services.infra_manager.provider import CannotRender, Infrastructure, find
from shared.bus.connection import Bus
from shared.bus.errors import NoLongerWriter
from shared.bus.table import TableReader, TableWriter
from shared.bus.waiting import end, together
from shared.bus.wire import Entry
from shared.core import names
from shared.core.refs import GatewayRef
from shared.ir.base import encode
from shared.ir.infra import Infra
from shared.ir.status import InfraStatus
from shared.runtime import terms
from shared.runtime.ops import Ops
from shared.runtime.settings import Settings
from shared.runtime.start import CannotStart

log = structlog.get_logger("infrastructure")

READS = "ir.infra"
WRITES = "status.infra"

Fleets = dict[GatewayRef, InfraStatus | None]
"""What was last told of each; None before the first word."""


async def run(settings: Settings, ops: Ops, stop: asyncio.Event) -> None:
    """Until `stop`. One replica works, others stand by; when it stops, its proxies keep running for the next."""
    name = _provider(settings)
    try:
        find(name)
    except LookupError as e:
        raise CannotStart(f"provider.custom.infrastructure.type: {e}") from e
    fleets: Fleets = {}
    gauge = Gauge("headgate_fleets", "Proxy fleets by state.", ["state"], registry=ops.registry)
    gauge.labels("ready").set_function(lambda: sum(s is not None and s.ready for s in fleets.values()))
    gauge.labels("not_ready").set_function(lambda: sum(s is None or not s.ready for s in fleets.values()))

    async def term(bus: Bus, epoch: int) -> None:
        fleets.clear()
        infrastructure = find(name)(settings)
        try:
            await Manager(bus, infrastructure, epoch, ops, fleets).run()
        finally:
            ops.wait("stopping")
            await infrastructure.close()

    beside = asyncio.create_task(_beside(find(name), settings), name="beside")
    try:
        await terms.serve(settings, ops, stop, settings.service, term)
    finally:
        await end(beside)


async def _beside(infrastructure: object, settings: Settings) -> None:
    """What the provider has for every replica to do; its failure takes no proxy down."""
    work = getattr(infrastructure, "beside", None)
    if work is None:
        return
    try:
        await work(settings)
    except Exception:
        log.exception("beside_failed")


def _provider(settings: Settings) -> str:
    custom = settings.config.provider.custom
    infrastructure = custom.infrastructure if custom is not None else None
    if infrastructure is not None:
        return infrastructure.type
    return "Host" if settings.config.provider.type == "Custom" else "Kubernetes"


class Manager:
    """Carries wishes from the bus to the provider, and what it observes back."""

    def __init__(self, bus: Bus, infrastructure: Infrastructure, epoch: int, ops: Ops, fleets: Fleets) -> None:
        self._infrastructure = infrastructure
        self._reader = TableReader(bus, [f"{READS}.*.*"])
        self._statuses = TableWriter(bus, WRITES, epoch, exclusive=True)
        self._known = fleets
        self._ops = ops
        ops.details = self._details

    async def run(self) -> None:
        adopted = await self._infrastructure.open()
        try:
            await self._statuses.open()
            told = {_gateway(subject) for subject in self._statuses.held()}
            self._reader.assume(g.subject(READS) for g in adopted | told)
            await together(self._wishes(), self._observations())
        except NoLongerWriter as e:
            log.warning("superseded", error=str(e))
        finally:
            await self._reader.close()
            await self._statuses.close()

    async def _wishes(self) -> None:
        async for batch in self._reader:
            self._ops.backlog.enter()
            for subject, entry in batch.changes.items():
                await self._wish(_gateway(subject), entry)
            self._ops.backlog.leave()
            self._ops.ready()

    async def _wish(self, gateway: GatewayRef, entry: Entry | None) -> None:
        if entry is None:
            log.info("fleet_removed", gateway=str(gateway))
            await self._infrastructure.remove(gateway)
            return
        self._known.setdefault(gateway, None)
        try:
            plan = self._infrastructure.render(gateway, msgspec.json.decode(entry.value, type=Infra))
        except (msgspec.DecodeError, CannotRender) as e:
            # what runs keeps running as it was
            log.warning("fleet_unusable", gateway=str(gateway), error=str(e))
            await self._publish(gateway, msgspec.structs.replace(self._known.get(gateway) or InfraStatus(), message=str(e)))
            return
        await self._infrastructure.apply(gateway, plan)

    async def _observations(self) -> None:
        while True:
            gateway, status = await self._infrastructure.observe()
            await self._publish(gateway, status)

    async def _publish(self, gateway: GatewayRef, status: InfraStatus | None) -> None:
        if status is None:
            self._known.pop(gateway, None)
        else:
            self._known[gateway] = status
        log.info("fleet_status", gateway=str(gateway), ready=status is not None and status.ready, message=status.message if status else "")
        await self._statuses.put({gateway.subject(WRITES): None if status is None else encode(status)})

    def _details(self) -> dict[str, Any]:
        return {"fleets": {str(g): msgspec.to_builtins(s) if s is not None else None for g, s in self._known.items()}}


def _gateway(subject: str) -> GatewayRef:
    _, _, namespace, name = subject.split(".")
    return GatewayRef(names.unescape(namespace), names.unescape(name))
